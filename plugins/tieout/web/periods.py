"""Fiscal periods of a link: their states beside the ledger's lock dates, what happened to them, and reopening by two.

Who may prepare begins and stops closing and asks for a reopening; who may review decides it. Closing itself wants its
checklist and is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from tieout.model.calendar import Calendar
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.scenarios.periods import locks
from tieout.store import periods
from tieout.store.periods import Refused
from tieout.web.pages import Doors, Pages, Visitor, back_to

#: What is said above the page when somebody did something.
DONE: Mapping[str, str] = {
    "begun": "is closing: documents may still be dated in it until it is closed.",
    "stopped": "is open.",
    "asked": "stays closed until another person agrees to reopen it.",
    "agreed": "is open again.",
    "refused": "stays closed.",
}

_Text = Annotated[str, Query(max_length=200)]
_Line = Annotated[str, Form(max_length=200)]
_Note = Annotated[str, Form(max_length=2000)]
Act = Callable[[Connection, Calendar], None]


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    _add_listing(app, doors, pages)
    _add_changes(app, doors, pages)


def _add_listing(app: FastAPI, doors: Doors, pages: Pages) -> None:
    @app.get("/periods")
    def listing(
        request: Request,
        visitor: Visitor = Depends(doors.reader),
        link: _Text = "",
        label: _Text = "",
        done: _Text = "",
    ) -> HTMLResponse:
        """The periods of a link; `label`: only what happened to this one."""
        with pages.sources.open_engine().connect() as conn:
            names = sorted({*pages.sources.link_names(), *periods.links(conn)})
            chosen = link or (names[0] if names else "")
            shown, events = None, []
            if chosen:
                found, calendar = _known(pages, chosen)
                shown = locks.standing(conn, pages.sources.settings(), found, calendar)
                events = list(periods.events(conn, chosen, label or None))
        return pages.render(
            "periods.html", request, visitor, links=names, link=chosen, label=label, shown=shown, events=events,
            told=DONE.get(done), in_words=locks.in_words,
        )  # fmt: skip


def _add_changes(app: FastAPI, doors: Doors, pages: Pages) -> None:
    def done(request: Request, visitor: Visitor, csrf: str, link: str, label: str, said: str, act: Act) -> Response:
        pages.require_token(visitor, csrf)
        _, calendar = _known(pages, link)
        try:
            with pages.sources.open_engine().begin() as conn:
                act(conn, calendar)
        except Refused as error:
            raise HTTPException(409, f"{error}.") from error
        except ConfigurationFault as error:  # a period that the calendar does not have
            raise HTTPException(404, f"{error}.") from error
        return back_to(request, f"/periods?{urlencode({'link': link, 'label': label, 'done': said})}")

    @app.post("/periods/begin-closing")
    def begin(
        request: Request, csrf: _Line, link: _Line, label: _Line, visitor: Visitor = Depends(doors.prepare),
        note: _Note = "",
    ) -> Response:  # fmt: skip
        def act(conn: Connection, calendar: Calendar) -> None:
            periods.begin_closing(conn, link, calendar.period(label), visitor.name, note)

        return done(request, visitor, csrf, link, label, "begun", act)

    @app.post("/periods/stop-closing")
    def stop(
        request: Request, csrf: _Line, link: _Line, label: _Line, visitor: Visitor = Depends(doors.prepare),
        note: _Note = "",
    ) -> Response:  # fmt: skip
        def act(conn: Connection, _: Calendar) -> None:
            periods.stop_closing(conn, link, label, visitor.name, note)

        return done(request, visitor, csrf, link, label, "stopped", act)

    @app.post("/periods/reopen")
    def ask(
        request: Request, csrf: _Line, link: _Line, label: _Line, reason: _Note,
        visitor: Visitor = Depends(doors.prepare),
    ) -> Response:  # fmt: skip
        def act(conn: Connection, _: Calendar) -> None:
            periods.ask_to_reopen(conn, link, label, visitor.name, reason)

        return done(request, visitor, csrf, link, label, "asked", act)

    @app.post("/periods/reopenings/{reopening_id}/decide")
    def decide(
        request: Request, reopening_id: int, csrf: _Line, link: _Line, label: _Line,
        verdict: Annotated[Literal["agreed", "refused"], Form()], visitor: Visitor = Depends(doors.review),
        note: _Note = "",
    ) -> Response:  # fmt: skip
        def act(conn: Connection, _: Calendar) -> None:
            decided = periods.decide_reopening(conn, reopening_id, visitor.name, verdict == "agreed", note)
            if (decided.link, decided.label) != (link, label):
                raise HTTPException(404, "This is not a reopening of this period.")

        return done(request, visitor, csrf, link, label, verdict, act)


def _known(pages: Pages, link: str) -> tuple[Link, Calendar]:
    """The link and its calendar; 404 where there is no such link."""
    try:
        return pages.sources.calendar(link)
    except ConfigurationFault as error:
        raise HTTPException(404, f"{error}.") from error
