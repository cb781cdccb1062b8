"""Writes that are uncertain, held or refused: how much money, how old, whose; and the decision that each waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import Connection

from tieout.delivery import people, uncertain
from tieout.delivery.uncertain import ASKED, Which, Write
from tieout.web.pages import Dependency, Pages, Visitor, back_to

#: The states that a person is asked about, in words.
ASKED_WORDS: Mapping[str, str] = {"UNKNOWN": "uncertain", "HELD": "held", "REJECTED": "refused"}

Act = Literal["look-up-again", "accept", "cancel", "try-again", "assign"]

#: What is said above the list when a decision was made.
DONE: Mapping[str, str] = {
    "look-up-again": "is looked up by the next delivery.",
    "accept": "counts as posted, as the document that you named.",
    "cancel": "is cancelled.",
    "try-again": "is sent again by the next delivery.",
    "assign": "has a new owner.",
}
#: The choice of a list as it stands in its address.
_FILTERS = ("state", "link", "target", "kind", "owner", "reason", "text", "skip")
#: `owner` of writes that nobody owns, in the address of a list.
NOBODY = "-"

_Text = Annotated[str, Query(max_length=200)]
_Words = Annotated[str, Form(max_length=500)]


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.get("/writes")
    def writes(
        request: Request,
        visitor: Visitor = Depends(reader),
        state: _Text = "",
        link: _Text = "",
        target: _Text = "",
        kind: _Text = "",
        owner: _Text = "",
        reason: _Text = "",
        text: _Text = "",
        skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        done: _Text = "",
        number: int | None = None,
    ) -> HTMLResponse:
        which = Which(
            states=(state,) if state else ASKED, link=link or None, target=target or None, kind=kind or None,
            owner="" if owner == NOBODY else owner or None, reason=reason or None, text=text.strip() or None,
            skip=skip, limit=pages.sources.page_size,
        )  # fmt: skip
        with engine().connect() as conn:
            values = _overview(conn, which)
            decided = uncertain.get(conn, number) if done in DONE and number is not None else None
        here = {name: value for name, value in request.query_params.items() if name in _FILTERS and value}
        return pages.render(
            "writes.html", request, visitor, **values, wanted=here, here=urlencode(here), now=datetime.now(UTC),
            page_size=which.limit, skip=skip, earlier=_moved(here, skip - which.limit) if skip else None,
            later=_moved(here, skip + which.limit), told=decided and (decided, DONE[done]), nobody=NOBODY,
        )  # fmt: skip

    @app.get("/writes/{intent_id}")
    def one_write(request: Request, intent_id: int, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        with engine().connect() as conn:
            found = uncertain.get(conn, intent_id)
            if found is None:
                raise HTTPException(404, "There is no write with this number.")
            tries, history = uncertain.tries(conn, intent_id), uncertain.history(conn, intent_id)
        return pages.render(
            "write.html", request, visitor, write=found, tries=tries, history=history, now=datetime.now(UTC), here=""
        )

    @app.post("/writes/{intent_id}/{act}")
    def decide(
        request: Request,
        intent_id: int,
        act: Act,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(operator),
        note: _Words = "",
        vendor_id: _Words = "",
        owner: _Words = "",
        back: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        try:
            with engine().begin() as conn:
                _decide(conn, intent_id, act, visitor.name, note.strip(), vendor_id.strip(), owner.strip())
        except people.NotPossible as error:
            raise HTTPException(409, f"Nothing was changed: {error}.") from error
        kept = [(name, value) for name, value in parse_qsl(back) if name in _FILTERS]
        return back_to(request, f"/writes?{urlencode([*kept, ('done', act), ('number', intent_id)])}")


def _decide(conn: Connection, intent_id: int, act: Act, who: str, note: str, vendor_id: str, owner: str) -> None:
    match act:
        case "look-up-again":
            people.look_up_again(conn, intent_id, who, note)
        case "try-again":
            people.try_again(conn, intent_id, who, note)
        case "cancel":
            people.cancel(conn, intent_id, who, _needed(note, "Say why it is cancelled; the note is kept."))
        case "assign":
            people.assign(conn, intent_id, who, _needed(owner, "Say who is to look after it."), note)
        case "accept":
            vendor_id = _needed(vendor_id, "Say which document of the vendor it is: its id.")
            people.accept_as(conn, intent_id, who, vendor_id, note)


def _needed(text: str, otherwise: str) -> str:
    if not text:
        raise HTTPException(400, otherwise)
    return text


def _overview(conn: Connection, which: Which) -> dict[str, Any]:
    found: list[Write] = uncertain.listing(conn, which)
    return {
        "standings": uncertain.standings(conn),
        "ages": uncertain.ages(conn),
        "owners": uncertain.owners(conn),
        "writes": found,
        "count": uncertain.how_many(conn, which),
    }


def _moved(here: Mapping[str, str], skip: int) -> str:
    return urlencode({**here, "skip": max(skip, 0)})
