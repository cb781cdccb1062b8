"""The tie-out: all links with today's, one link on one day, and the same on paper, as workbook and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from tieout.model.tie_out import Head, Signature, TieOut
from tieout.reconcile import reading
from tieout.reconcile.reading import Day
from tieout.reports import export, tie_out, workbook
from tieout.reports.tie_out import Block
from tieout.scenarios.periods import recount
from tieout.web import signing
from tieout.web.pages import Doors, Pages, Visitor, back_to
from tieout.web.sending import csv_file, workbook_file

#: Breaks that page one lists, and the printed page.
LARGEST = 10
MOST_PRINTED = 5_000


@dataclass(frozen=True, slots=True)
class Today:
    """A link on the overview; `page` None where it has not been reconciled yet."""

    link: str
    page: TieOut | None = None
    trend: Sequence[Day] = ()
    signed: Sequence[Signature] = ()
    blocks: Mapping[str, Sequence[Block]] = field(default_factory=dict)


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.get("/")
    def overview(request: Request, visitor: Visitor = Depends(doors.reader)) -> HTMLResponse:
        with engine().connect() as conn:
            known = reading.links(conn)
            links = [_today(conn, link) for link in known]
        others = [Today(link) for link in pages.sources.link_names() if link not in set(known)]
        return pages.render("tie_outs.html", request, visitor, links=[*links, *others])

    @app.get("/tie-outs/{link}")
    def newest(request: Request, link: str, visitor: Visitor = Depends(doors.reader)) -> Response:
        with engine().connect() as conn:
            found = reading.newest(conn, link)
        if found is None:
            raise HTTPException(404, "This link has not been reconciled yet.")
        return back_to(request, f"/tie-outs/{found.link}/{found.as_of}")

    @app.get("/tie-outs/{link}/{day}")
    def one(
        request: Request,
        link: str,
        day: date,
        visitor: Visitor = Depends(doors.reader),
        report: int | None = None,
        signed: Annotated[str, Query(max_length=20)] = "",
    ) -> HTMLResponse:
        with engine().connect() as conn:
            values = _page(conn, _head(conn, link, day, report))
        return pages.render("tie_out.html", request, visitor, **values, signed=signed)

    @app.get("/tie-outs/{link}/{day}/print")
    def printed(
        request: Request, link: str, day: date, visitor: Visitor = Depends(doors.reader), report: int | None = None
    ) -> HTMLResponse:
        with engine().connect() as conn:
            head = _head(conn, link, day, report)
            values = _page(conn, head)
            items = list(reading.items(conn, head.report_id, MOST_PRINTED))
        return pages.render("printed.html", request, visitor, **values, items=items, most=MOST_PRINTED)

    @app.get("/tie-outs/{link}/{day}/workbook.xlsx")
    def as_workbook(
        link: str, day: date, visitor: Visitor = Depends(doors.reader), report: int | None = None
    ) -> Response:
        with engine().connect() as conn:
            head = _head(conn, link, day, report)
            page = reading.tie_out(conn, head)
            body = workbook.of_report(page, reading.items(conn, head.report_id))
        return workbook_file(f"tie-out {link} {day}", body)

    @app.get("/tie-outs/{link}/{day}/items.csv")
    def as_csv(link: str, day: date, visitor: Visitor = Depends(doors.reader), report: int | None = None) -> Response:
        with engine().connect() as conn:
            head = _head(conn, link, day, report)
            body = b"".join(export.csv_lines(reading.items(conn, head.report_id), day))
        return csv_file(f"breaks {link} {day}", body)


def _today(conn: Connection, link: str) -> Today:
    head = reading.newest(conn, link)
    assert head is not None  # `links` names those that have one
    page = reading.tie_out(conn, head)
    signed = [one for one in page.signatures if one.suspended_at is None]
    return Today(link, page, reading.trend(conn, link), signed, tie_out.by_currency(page))


def _head(conn: Connection, link: str, day: date, report_id: int | None) -> Head:
    head = reading.newest(conn, link, day) if report_id is None else reading.head(conn, report_id)
    if head is None or head.link != link or head.as_of != day:
        raise HTTPException(404, "There is no finished reconciliation of this link for this day.")
    return head


def _page(conn: Connection, head: Head) -> dict[str, Any]:
    page = reading.tie_out(conn, head)
    suspended = {}
    for one in page.signatures:
        if one.suspended_by is not None and page.reports:
            suspended[one.sign_off_id] = signing.changes(conn, one, page.reports[0].report_id)
    earlier, later = reading.days_beside(conn, head)
    return {
        "page": page,
        "head": head,
        "before": reading.variance(conn, head),
        "blocks": tie_out.by_currency(page),
        "largest": reading.largest(conn, head, LARGEST),
        "suspended": suspended,
        "earlier": earlier,
        "later": later,
        "verdict": tie_out.verdict(page),
        "recounts": recount.of_run(conn, head.run_id),
    }
