"""Signing a day's figures as preparer or reviewer, and what a later report of the day changed of what was signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from tieout.model.tie_out import Signature
from tieout.reconcile import report_store, sign_off
from tieout.reconcile.people import NotAllowed
from tieout.reconcile.sign_off import Difference, Role
from tieout.reports.present import figure, words
from tieout.web.pages import Doors, Pages, Visitor, back_to

#: Changes that a suspended sign-off lists on the page.
MOST_CHANGES = 50


@dataclass(frozen=True, slots=True)
class Changed:
    """One line of what changed since a signature; `break_id` None for a side's total."""

    what: str
    currency: str
    before: str
    after: str
    break_id: int | None = None


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""

    @app.post("/tie-outs/{link}/{day}/sign/preparer")
    def prepare(
        request: Request,
        link: str,
        day: date,
        report: Annotated[int, Form()],
        seen: Annotated[str, Form(max_length=64)],
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(doors.prepare),
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        return _signed(request, pages, visitor, csrf, (link, day, report), "preparer", seen, note)

    @app.post("/tie-outs/{link}/{day}/sign/reviewer")
    def review(
        request: Request,
        link: str,
        day: date,
        report: Annotated[int, Form()],
        seen: Annotated[str, Form(max_length=64)],
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(doors.review),
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        return _signed(request, pages, visitor, csrf, (link, day, report), "reviewer", seen, note)


def _signed(
    request: Request, pages: Pages, visitor: Visitor, csrf: str, of: tuple[str, date, int], role: Role, seen: str,
    note: str,
) -> Response:  # fmt: skip
    pages.require_token(visitor, csrf)
    link, day, report_id = of
    try:
        with pages.sources.open_engine().begin() as conn:
            report = report_store.get(conn, report_id)
            if (report.link, report.as_of) != (link, day):
                raise HTTPException(404, "This is not a report of this link and day.")
            sign_off.sign(conn, report_id, role, visitor.name, seen, note)
    except report_store.NoSuchReport as error:
        raise HTTPException(404, "There is no such report.") from error
    except NotAllowed as error:
        raise HTTPException(409, f"Nothing was signed: {error}.") from error
    return back_to(request, f"/tie-outs/{report.link}/{report.as_of}?signed={role}")


def changes(conn: Connection, signed: Signature, newest: int) -> Sequence[Changed]:
    """What is different in report `newest` from what was signed, the sides' totals first."""
    found = sign_off.difference(conn, report_store.get(conn, signed.report_id), report_store.get(conn, newest))
    lines = [*_sides(found), *_items(found)]
    if found.rules_changed:
        lines.insert(0, Changed("The rules of the reconciliation", "", "others", "as they are now"))
    return lines


def _sides(found: Difference) -> list[Changed]:
    lines = []
    for side in found.sides:
        for name, before, after in (("CRM", side.before_a, side.after_a), ("ledger", side.before_b, side.after_b)):
            if before != after:
                lines.append(
                    Changed(
                        f"{words(side.area).capitalize()} in the {name}", side.currency,
                        f"{figure(before[1], side.scale)} ({before[0]:,})",
                        f"{figure(after[1], side.scale)} ({after[0]:,})",
                    )
                )  # fmt: skip
    return lines


def _items(found: Difference) -> list[Changed]:
    return [
        Changed(
            f"{words(one.area).capitalize()}: {words(one.after_class or one.before_class or '')}",
            one.after_currency or one.before_currency or "",
            "not there" if one.before is None else _said(one.before, one.scale, one.before_class, one.after_class),
            "gone" if one.after is None else _said(one.after, one.scale, one.after_class, one.before_class),
            one.break_id,
        )
        for one in found.changes[:MOST_CHANGES]
    ]


def _said(amount: int, scale: int, class_: str | None, other: str | None) -> str:
    """The amount; the class beside it where that is what changed."""
    return figure(amount, scale) + (f", {words(class_)}" if class_ and other and class_ != other else "")
