"""The inbox of webhooks for operators: what waits, what failed and why, what was refused; failed ones are tried again.

Bodies are not shown: they are raw data of people. The records that they name are staged, and shown where those are.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.connectors.hooks.vendors import HOOKS
from tieout.store import hooks
from tieout.web.pages import Dependency, Pages, Visitor, back_to

#: One click tries at most so many again.
MOST_RETRIES = 1000
STATES = ("waiting", "failed", "read", "ignored")


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    sources = pages.sources

    @app.get("/webhooks")
    def inbox(
        request: Request,
        visitor: Visitor = Depends(reader),
        connection: Annotated[str, Query(max_length=250)] = "",
        state: Annotated[str, Query(max_length=20)] = "",
        again: int | None = None,
    ) -> HTMLResponse:
        """Every connection that takes webhooks, and the rows that wait or failed, or those of one state."""
        named = [name for name, system in sources.hook_connections().items() if system in HOOKS]
        with sources.open_engine().connect() as conn:
            seen = {one.connection for one in hooks.standings(conn)}
            standings = hooks.standings(conn, {*named, *seen})
            rows = hooks.listing(
                conn, [connection] if connection else None, [state] if state else ("waiting", "failed"),
                sources.page_size,
            )  # fmt: skip
        return pages.render(
            "webhooks.html", request, visitor, standings=standings, rows=rows, connection=connection, state=state,
            states=STATES, again=again, days=sources.settings().hook_days, page_size=sources.page_size,
        )  # fmt: skip

    @app.post("/webhooks/again")
    def try_again(
        request: Request,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(operator),
        hook_id: Annotated[list[int] | None, Form()] = None,
    ) -> Response:
        """Has the chosen rows read again by the next reading."""
        pages.require_token(visitor, csrf)
        if not hook_id:
            raise HTTPException(400, "No delivery was chosen.")
        if len(hook_id) > MOST_RETRIES:
            raise HTTPException(400, f"At most {MOST_RETRIES} deliveries can be tried again at once.")
        with sources.open_engine().begin() as conn:
            count = hooks.retry(conn, hook_id, by=visitor.name)
        return back_to(request, f"/webhooks?again={count}")
