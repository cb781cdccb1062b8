"""Dead letters: the list, one of them, and the replay of those that a person chose."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.store.dead_letters import Filter
from tieout.web.pages import Dependency, Pages, Visitor, back_to

#: One click replays at most so many letters.
MOST_REPLAYS = 1000


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    sources = pages.sources

    @app.get("/dead-letters")
    def dead_letters(
        request: Request,
        visitor: Visitor = Depends(reader),
        state: str = "open",
        link: str = "",
        entity: str = "",
        reason: str = "",
        after: Annotated[int, Query(ge=0)] = 0,
        replayed: int | None = None,
    ) -> HTMLResponse:
        wanted = Filter(
            state=state or None, link=link or None, entity=entity or None, reason=reason or None, after=after
        )
        return pages.render(
            "dead_letters.html", request, visitor, wanted=wanted, letters=sources.letters(wanted),
            counts=sources.letter_counts(), page_size=sources.page_size, replayed=replayed,
        )  # fmt: skip

    @app.get("/dead-letters/{letter_id}")
    def dead_letter(request: Request, letter_id: int, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        found = sources.letter(letter_id)
        if found is None:
            raise HTTPException(404, "There is no dead letter with this number.")
        return pages.render("dead_letter.html", request, visitor, letter=found)

    @app.post("/dead-letters/replay")
    def replay(
        request: Request,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(operator),
        letter_id: Annotated[list[int] | None, Form()] = None,
    ) -> Response:
        pages.require_token(visitor, csrf)
        if not letter_id:
            raise HTTPException(400, "No dead letter was chosen.")
        if len(letter_id) > MOST_REPLAYS:
            raise HTTPException(400, f"At most {MOST_REPLAYS} dead letters can be replayed at once.")
        return back_to(request, f"/dead-letters?replayed={sources.replay(letter_id, visitor.name)}")
