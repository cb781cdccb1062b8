"""Credit: customers with limit and balance, changes that a second person approves, the file, orders that are let go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import Connection

from tieout.model.link import Link
from tieout.scenarios.credit import proposing, releasing, showing
from tieout.scenarios.services import find_link
from tieout.store import credit, credit_positions
from tieout.store.credit import NotAllowed
from tieout.web.pages import Dependency, Pages, Visitor, back_to

#: Bytes of a file of limits: 100,000 lines of the usual length.
LARGEST_FILE = 8_000_000
#: The choices of the list, in words.
CHOICES: Mapping[str, str] = {
    "all": "all customers", "limit": "those with a limit", "over": "those beyond their limit",
    "overdue": "those with something overdue", "doubtful": "those of whom nothing can be said",
}  # fmt: skip
#: What is said above the page when somebody did something.
DONE: Mapping[str, str] = {
    "unchanged": "Nothing changes: every limit of the file is in force already.",
    "released": "Released: the link's next run bills it, once, up to what it comes to now.",
}

_Text = Annotated[str, Query(max_length=200)]
_Line = Annotated[str, Form(max_length=200)]
_Note = Annotated[str, Form(max_length=2000)]


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    _add_reading(app, reader, pages)
    _add_changes(app, operator, pages)
    engine = pages.sources.open_engine

    @app.post("/credit/releases")
    def release(
        request: Request,
        csrf: Annotated[str, Form()],
        link: _Line,
        source_id: _Line,
        currency: _Line,
        amount_minor: Annotated[int, Form()],
        note: _Note,
        visitor: Visitor = Depends(operator),
    ) -> Response:
        pages.require_token(visitor, csrf)
        if not note.strip():
            raise HTTPException(400, "A release needs a reason: fill in the note.")
        try:
            with engine().begin() as conn:
                releasing.release(conn, source_id, visitor.name, note, link, (currency, amount_minor))
        except NotAllowed as error:
            raise HTTPException(409, str(error)) from error
        return back_to(request, f"/credit?{urlencode({'link': link, 'done': 'released'})}")


def _add_reading(app: FastAPI, reader: Dependency, pages: Pages) -> None:
    engine, page_size = pages.sources.open_engine, pages.sources.page_size

    @app.get("/credit")
    def listing(
        request: Request,
        visitor: Visitor = Depends(reader),
        link: _Text = "",
        show: Literal["all", "limit", "over", "overdue", "doubtful"] = "all",
        text: _Text = "",
        skip: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        done: _Text = "",
    ) -> HTMLResponse:
        with engine().connect() as conn:
            links = showing.links(conn)
            chosen = link or (links[0] if links else "")
            values = _overview(conn, _link(pages, chosen), show, text.strip(), skip, page_size) if chosen else {}
        here = {"link": chosen, "show": show, "text": text}
        return pages.render(
            "credit.html", request, visitor, links=links, link=chosen, show=show, text=text, choices=CHOICES,
            skip=skip, told=DONE.get(done), earlier=urlencode({**here, "skip": max(skip - page_size, 0)}),
            later=urlencode({**here, "skip": skip + page_size}), **values,
        )  # fmt: skip

    @app.get("/credit/customers/{account_id}")
    def customer(request: Request, account_id: str, link: _Text, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        with engine().connect() as conn:
            found = showing.customer(conn, _link(pages, link), account_id)
            history = credit.history(conn, link, account_id)
            above = [limit.shares_with for limit, _ in history if limit.shares_with]
            names = credit_positions.names(conn, link, above)
        if found is None and not history:
            raise HTTPException(404, "Nothing is known of the credit of this customer.")
        return pages.render(
            "credit_customer.html", request, visitor, link=link, account_id=account_id, one=found, history=history,
            names=names,
        )  # fmt: skip

    @app.get("/credit/changes/{change_id}")
    def one(request: Request, change_id: int, visitor: Visitor = Depends(reader), done: _Text = "") -> HTMLResponse:
        with engine().connect() as conn:
            found = credit.get(conn, change_id)
            if found is None:
                raise HTTPException(404, "There is no change of limits with this number.")
            ids = {name for limit in found.limits for name in (limit.account_id, limit.shares_with) if name}
            names = credit_positions.names(conn, found.link, sorted(ids))
        own = found.proposed_by.strip().casefold() == visitor.name.strip().casefold()
        return pages.render("credit_change.html", request, visitor, change=found, names=names, own=own, done=done)


def _add_changes(app: FastAPI, operator: Dependency, pages: Pages) -> None:
    engine = pages.sources.open_engine

    @app.post("/credit/changes")
    def propose(
        request: Request,
        csrf: Annotated[str, Form()],
        link: _Line,
        file: Annotated[UploadFile, File()],
        visitor: Visitor = Depends(operator),
    ) -> Response:
        pages.require_token(visitor, csrf)
        content = file.file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise HTTPException(413, f"The file is larger than {LARGEST_FILE // 1_000_000} MB: take several.")
        name = (file.filename or "a file")[:200]
        made = proposing.propose(engine(), pages.sources.settings(), _link(pages, link), content, name, visitor.name)
        if made.refusals:
            return pages.render(
                "credit_file.html", request, visitor, status=422, link=link, file=name, refusals=made.refusals
            )
        if made.change_id is None:
            return back_to(request, f"/credit?{urlencode({'link': link, 'done': 'unchanged'})}")
        return back_to(request, f"/credit/changes/{made.change_id}?done=proposed")

    @app.post("/credit/changes/{change_id}/decide")
    def decide(
        request: Request,
        change_id: int,
        csrf: Annotated[str, Form()],
        verdict: Annotated[Literal["approve", "refuse"], Form()],
        visitor: Visitor = Depends(operator),
        note: _Note = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        if verdict == "refuse" and not note.strip():
            raise HTTPException(400, "A refusal needs a reason: fill in the note.")
        try:
            with engine().begin() as conn:
                credit.decide(conn, change_id, visitor.name, approved=verdict == "approve", note=note)
        except NotAllowed as error:
            raise HTTPException(409, str(error)) from error
        return back_to(request, f"/credit/changes/{change_id}?done={verdict}")


def _link(pages: Pages, name: str) -> Link:
    return find_link(pages.sources.settings(), name)


def _overview(conn: Connection, link: Link, show: credit_positions.Choice, text: str, skip: int,
              most: int) -> dict[str, Any]:  # fmt: skip
    customers, count = showing.customers(conn, link, show, text, skip, most)
    return {
        "customers": customers, "count": count, "as_of": showing.as_of(conn, link),
        "changes": credit.summaries(conn, link.name), "held": releasing.held(conn, link.name),
        "releases": credit.given(conn, link.name), "gate": link.policies.credit,
    }  # fmt: skip
