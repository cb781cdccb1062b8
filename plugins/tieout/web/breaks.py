"""Breaks: the list by filter, the same as workbook and CSV, one break with both records side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from tieout.model.tie_out import AGE_BUCKETS, HappenedTo, Item
from tieout.reconcile import finding, people, reading
from tieout.reconcile.finding import NOBODY, SORTS, Filter
from tieout.reports import export, workbook
from tieout.reports.present import figure, plain, words
from tieout.web.pages import Doors, Pages, Visitor
from tieout.web.sending import attachment, csv_file, workbook_file
from tieout.web.sources import Sources

#: What `state` may be in the address of a list, in words.
STATES: Mapping[str, str] = {
    "live": "not cleared", "unsettled": "waiting for somebody", "open": "open", "with_preparer": "with preparer",
    "with_reviewer": "with reviewer", "accepted": "accepted", "closed": "closed", "cleared": "cleared", "": "all",
}  # fmt: skip
#: The choice of a list as it stands in its address, without the place in it.
FIELDS = ("link", "area", "class", "currency", "state", "owner", "age", "over", "new", "tolerance", "text", "sort")
#: Rows of one page of the list.
PAGE = 100
#: Rows of an exported file; more is another question than a person can answer in a spreadsheet.
MOST_EXPORTED = 500_000

#: What is said on a break's page when something was done.
SAID: Mapping[str, str] = {
    "assign": "It has a new owner.", "note": "The note is kept.", "due": "The due date is set.",
    "reason": "The reason is kept.", "accept": "It is accepted.", "move": "It is handed on.",
    "attach": "The file is attached.",
}  # fmt: skip

_Text = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A list's address: what was asked for, as it was written. `which` None: no link has been reconciled."""

    which: Filter | None
    here: Mapping[str, str]
    links: tuple[str, ...]
    report_id: int = 0


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.get("/breaks")
    def listing(
        request: Request,
        visitor: Visitor = Depends(doors.reader),
        after: Annotated[str, Query(max_length=300)] = "",
        assigned: int | None = None,
    ) -> HTMLResponse:
        with engine().connect() as conn:
            chosen = choice(conn, request.query_params)
            values = _list(conn, chosen, after)
        return pages.render(
            "breaks.html", request, visitor, chosen=chosen, here=urlencode(chosen.here), states=STATES, sorts=SORTS,
            nobody=NOBODY, assigned=assigned, later_page=bool(after), **values,
        )  # fmt: skip

    @app.get("/breaks/ages")
    def ages(request: Request, visitor: Visitor = Depends(doors.reader)) -> HTMLResponse:
        with engine().connect() as conn:
            chosen = choice(conn, request.query_params)
            which = chosen.which
            found = finding.ages(conn, which.link, which.day) if which else []
        return pages.render("ages.html", request, visitor, chosen=chosen, which=which, ages=found)

    @app.get("/breaks/export.csv")
    def as_csv(request: Request, visitor: Visitor = Depends(doors.reader)) -> Response:
        with engine().connect() as conn:
            which = _exported(conn, request.query_params)
            body = b"".join(export.csv_lines(finding.every(conn, which), which.day))
        return csv_file(f"breaks {which.link} {which.day}", body)

    @app.get("/breaks/export.xlsx")
    def as_workbook(request: Request, visitor: Visitor = Depends(doors.reader)) -> Response:
        with engine().connect() as conn:
            which = _exported(conn, request.query_params)
            said = in_words(request.query_params)
            title = f"Breaks of {which.link} as of {which.day}"
            body = workbook.of_choice(title, said, finding.every(conn, which, by_area=True), which.day)
        return workbook_file(f"breaks {which.link} {which.day}", body)

    @app.get("/breaks/{break_id}")
    def one(
        request: Request, break_id: int, visitor: Visitor = Depends(doors.reader), done: _Text = ""
    ) -> HTMLResponse:
        with engine().connect() as conn:
            found = finding.whole(conn, break_id)
            if found is None:
                raise HTTPException(404, "There is no break with this number.")
            head = reading.newest(conn, found.item.link)
            may_accept = _may_accept(pages.sources, people.get(conn, break_id))
        day = head.as_of if head else found.item.last_seen
        return pages.render(
            "break.html", request, visitor, found=found, item=found.item, day=day, rows=beside(found),
            said=SAID.get(done),
            reasons=pages.sources.reasons(found.item.link), moves=moves(found.item, visitor), may_accept=may_accept,
            told=[told(each, found.item.scale) for each in found.history],
        )  # fmt: skip

    @app.get("/breaks/{break_id}/attachments/{number}")
    def evidence(break_id: int, number: int, visitor: Visitor = Depends(doors.reader)) -> Response:
        with engine().connect() as conn:
            found = finding.attached(conn, break_id, number)
        if found is None:
            raise HTTPException(404, "There is no such attachment.")
        return attachment(*found)


def _may_accept(sources: Sources, found: people.Break) -> bool:
    """Whether the break is small enough, and in a state, to be accepted."""
    return "accepted" in people.MOVES.get(found.state, ()) and abs(found.amount) <= sources.tolerance(found.link)(found)


def choice(conn: Connection, asked: Mapping[str, str]) -> Chosen:
    """The filter that an address means; without a link, the first one's.

    Raises:
        HTTPException: 400 for a value that is none.
    """
    here = {name: value for name in FIELDS if (value := asked.get(name, "").strip()[:200]) or name in asked}
    links = tuple(reading.links(conn))
    link = here.get("link") or (links[0] if links else "")
    head = reading.newest(conn, link) if link else None
    if head is None:
        return Chosen(None, here, links)
    state, sort, age = here.get("state", "live"), here.get("sort") or "amount", here.get("age", "")
    tolerance = here.get("tolerance", "")
    if state not in STATES or sort not in SORTS or age not in ("", *(name for name, _, _ in AGE_BUCKETS)):
        raise HTTPException(400, "This address asks for a state, an age or an order that does not exist.")
    which = Filter(
        link=link, day=head.as_of, area=here.get("area", ""), class_=here.get("class", ""),
        currency=here.get("currency", ""), state=state, owner=here.get("owner", ""), age=age,
        over=_amount(here.get("over", "")), first_seen=head.as_of if here.get("new") else None,
        text=here.get("text", ""), tolerance=tolerance if tolerance in ("within", "above") else "", sort=sort,
        limit=PAGE,
    )  # fmt: skip
    return Chosen(which, {**here, "link": link}, links, head.report_id)


def in_words(asked: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was chosen, for the head of a file."""
    named = [(name, asked.get(name, "").strip()) for name in FIELDS]
    return [(words(name), STATES.get(value, value) if name == "state" else value) for name, value in named if value]


def _exported(conn: Connection, asked: Mapping[str, str]) -> Filter:
    which = choice(conn, asked).which
    if which is None:
        raise HTTPException(404, "This link has not been reconciled yet: there is nothing to export.")
    if (count := finding.how_many(conn, which)) > MOST_EXPORTED:
        raise HTTPException(400, f"{count:,} breaks are too many for one file; at most {MOST_EXPORTED:,}.")
    return which


def _amount(text: str) -> Decimal | None:
    """500 or 1,500.00 as it is typed."""
    if not text:
        return None
    try:
        value = Decimal(text.replace(",", "").replace(" ", ""))
    except InvalidOperation as error:
        raise HTTPException(400, "“Over” takes an amount such as 500 or 1,500.00.") from error
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise HTTPException(400, "“Over” takes an amount such as 500 or 1,500.00.")
    return abs(value)


def _list(conn: Connection, chosen: Chosen, after: str) -> dict[str, Any]:
    which = chosen.which
    if which is None:
        return {"which": None}
    found = finding.page(conn, replace(which, after=_place(after)))
    return {
        "which": which,
        "found": found,
        "count": finding.how_many(conn, which),
        "choices": finding.choices(conn, which.link, chosen.report_id),
        "next": urlencode({**chosen.here, "after": f"{found.after[1]}~{found.after[0]}"}) if found.after else None,
        "today": which.day,
    }


def _place(after: str) -> tuple[str, int] | None:
    """`17~1234.50`: the id and the sort value of the last row of the page before."""
    if not after:
        return None
    number, _, value = after.partition("~")
    if not number.isdecimal() or len(number) > 18:
        raise HTTPException(400, "This address does not name a place in the list.")
    return value, int(number)


def moves(item: Item, visitor: Visitor) -> list[tuple[str, str]]:
    """The states that the visitor may give a break, with the words on the button."""
    words = {"with_preparer": "To the preparer", "with_reviewer": "To the reviewer", "open": "Open again",
             "closed": "Close"}  # fmt: skip
    possible = [(state, words[state]) for state in people.MOVES.get(item.state, ()) if state in words]
    return [(state, label) for state, label in possible if state != "closed" or visitor.may("review")]


@dataclass(frozen=True, slots=True)
class Beside:
    """One field of both sides; `differs`: it is why there is a break."""

    name: str
    a: str
    b: str
    differs: bool


def beside(found: finding.Whole) -> list[Beside]:
    """The fields of both sides, those that differ first as the sides have them otherwise in their order."""
    a = found.a.shown if found.a else {}
    b = found.b.shown if found.b else {}
    rows = [
        Beside(name, _shown(a.get(name), found), _shown(b.get(name), found), name in found.fields)
        for name in dict.fromkeys([*a, *b])
    ]
    return sorted(rows, key=lambda row: not row.differs)


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the history as a person reads it."""

    entry: HappenedTo
    details: Sequence[tuple[str, str]]


def told(entry: HappenedTo, scale: int) -> Told:
    """The entry with its facts in words; amounts with their decimals, what changed as from one to the other."""
    return Told(entry, [(words(name), _fact(name, value, scale)) for name, value in entry.detail.items()])


def _fact(name: str, value: Any, scale: int) -> str:
    if isinstance(value, list) and len(value) == 2:
        return " → ".join(_fact(name, one, scale) or "nothing" for one in value)
    if name == "amount" and isinstance(value, int):
        return figure(value, scale)
    if isinstance(value, list):
        return ", ".join(_fact(name, one, scale) for one in value)
    return (
        words(value)
        if name in ("class", "state", "was", "fields", "reason_code") and isinstance(value, str)
        else plain(value)
    )


def _shown(value: Any, found: finding.Whole) -> str:
    if isinstance(value, Mapping) and set(value) == {"amount", "scale"}:
        return figure(value["amount"], int(value["scale"]))
    return "" if value is None else plain(value)
