"""What a person does with breaks on the pages: assign one or many, note, due date, accept, hand on, attach, propose."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Request, UploadFile
from fastapi.responses import Response
from sqlalchemy import Connection

from tieout.reconcile import attachments, people
from tieout.reconcile.people import NotAllowed
from tieout.web.breaks import FIELDS
from tieout.web.pages import Doors, Pages, Visitor, back_to
from tieout.web.sources import Sources

Act = Literal["assign", "note", "due", "reason", "accept", "move"]

_Words = Annotated[str, Form(max_length=10_000)]
_Short = Annotated[str, Form(max_length=200)]


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.post("/breaks/bulk")
    def assign_many(
        request: Request,
        csrf: Annotated[str, Form()],
        owner: Annotated[str, Form(max_length=100)],
        visitor: Visitor = Depends(doors.breaks),
        break_id: Annotated[list[int] | None, Form()] = None,
        note: Annotated[str, Form(max_length=500)] = "",
        back: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        if not break_id:
            raise HTTPException(400, "No break was chosen.")
        try:
            with engine().begin() as conn:
                count = people.assign(conn, break_id, owner, visitor.name, note=note)
        except NotAllowed as error:
            raise HTTPException(409, f"Nothing was changed: {error}.") from error
        kept = [(name, value) for name, value in parse_qsl(back) if name in FIELDS]
        return back_to(request, f"/breaks?{urlencode([*kept, ('assigned', count)])}")

    @app.post("/breaks/{break_id}/attach")
    async def attach(
        request: Request,
        break_id: int,
        file: UploadFile,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(doors.breaks),
    ) -> Response:
        pages.require_token(visitor, csrf)
        content = await file.read(attachments.LARGEST + 1)
        try:
            with engine().begin() as conn:
                attachments.attach(conn, break_id, file.filename or "", content, visitor.name)
        except NotAllowed as error:
            raise HTTPException(409, f"Nothing was attached: {error}.") from error
        return back_to(request, f"/breaks/{break_id}?done=attach")

    @app.post("/breaks/{break_id}/propose")
    def propose(
        request: Request,
        break_id: int,
        csrf: Annotated[str, Form()],
        reason: Annotated[str, Form(max_length=500)] = "",
        record: Annotated[str, Form(max_length=100)] = "",
        visitor: Visitor = Depends(doors.breaks),
    ) -> Response:
        pages.require_token(visitor, csrf)
        if not reason.strip():
            raise HTTPException(400, "Say why: who approves the proposal reads it.")
        try:
            with engine().connect() as conn:
                link = people.get(conn, break_id).link
            number = pages.sources.proposer(link, [break_id], visitor.name, reason.strip(), record.strip() or None)
        except NotAllowed as error:
            raise HTTPException(409, f"Nothing was proposed: {error}.") from error
        return back_to(request, f"/proposals/{number}")

    @app.post("/breaks/{break_id}/{act}")
    def decide(
        request: Request,
        break_id: int,
        act: Act,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(doors.breaks),
        seen: Annotated[str, Form(max_length=40)] = "",
        owner: Annotated[str, Form(max_length=100)] = "",
        note: _Words = "",
        due_on: _Short = "",
        reason: _Short = "",
        state: _Short = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        if act == "move" and state == "closed" and not visitor.may("review"):
            raise HTTPException(403, "Only a reviewer closes what was handed over for review.")
        as_seen = _seen(break_id, seen)
        try:
            with engine().begin() as conn:
                link = people.get(conn, break_id).link
                match act:
                    case "assign":
                        people.assign(conn, [break_id], owner or None, visitor.name, note=note, seen=as_seen)
                    case "note":
                        people.note(conn, [break_id], note, visitor.name)
                    case "due":
                        people.set_due(conn, [break_id], _day(due_on), visitor.name, note=note, seen=as_seen)
                    case "move":
                        people.move(conn, [break_id], state, visitor.name, note=note, seen=as_seen)
                    case "reason" | "accept":
                        _with_reason(conn, pages.sources, link, break_id, act, reason, visitor.name, note, as_seen)
        except NotAllowed as error:
            raise HTTPException(409, f"Nothing was changed: {error}.") from error
        return back_to(request, f"/breaks/{break_id}?done={act}")


def _with_reason(
    conn: Connection, sources: Sources, link: str, break_id: int, act: Act, reason: str, who: str, note: str,
    seen: people.Seen | None,
) -> None:  # fmt: skip
    allowed = sources.reasons(link)
    if act == "reason":
        people.give_reason(conn, [break_id], reason, who, allowed=allowed, note=note, seen=seen)
    else:
        people.accept(
            conn, [break_id], reason, who, allowed=allowed, tolerance=sources.tolerance(link), note=note, seen=seen
        )


def _seen(break_id: int, seen: str) -> people.Seen | None:
    """The break as the form showed it, so that nobody decides on what another has changed meanwhile."""
    if not seen:
        return None
    try:
        return {break_id: datetime.fromisoformat(seen)}
    except ValueError as error:
        raise HTTPException(400, "The form is not as the page made it. Open the page again and repeat.") from error


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise HTTPException(400, "A due date is written as 2026-11-30.") from error
