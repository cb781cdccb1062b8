"""Closing a fiscal period: its checklist holds, its report is what the books say now, and what counted is frozen.

One person begins closing (store/periods.py), another one closes. Frozen are the report's id, hash and instant, and the
checklist as it was; the documents that were counted stand in `tieout.period_report_document`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.calendar import Period
from tieout.scenarios import reconciliation
from tieout.scenarios.periods import acts, checklist, report, standing
from tieout.scenarios.periods.acts import SUBJECTS, Act, NotAccepted
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.periods.checklist import ACCEPTABLE, Checklist
from tieout.scenarios.services import Services
from tieout.store import periods
from tieout.store.periods import Refused


def close(services: Services, label: str, who: str) -> int:
    """Closes a period whose checklist holds and whose report is what is staged now. Returns the event's id.

    Raises:
        Refused: it is not closing, the same person began it, or what is not met, each in a sentence.
        ConfigurationFault: the link's calendar has no such period.
    """
    link, calendar = services.link, calendar_of(services)
    period = calendar.period(label)
    before = calendar.before(period)
    at = reconciliation.clock(services)
    counted = report.count(services, period, at)
    with services.engine.begin() as conn:
        _another_person(conn, link.name, label, who)
        found = checklist.evaluate(conn, services.settings, link, period, before)
        if found.missing:
            raise Refused(
                f"{label} of {link.name} stays open: "
                + "; ".join(f"{one.title.lower()}: {one.found.rstrip('.')}" for one in found.missing)
            )
        assert found.report is not None  # the first fact is that there is one
        report.fill(conn, counted)
        moved = standing.moved(conn, found.report.report_id, period)
        if moved:
            raise Refused(
                f"{label} of {link.name} stays open: {len(moved)} documents are not what report "
                f"{found.report.report_id} counted ({', '.join(one.named for one in moved[: checklist.NAMED])}): make "
                f"the period report again: `tieout period report {link.name} {label}`"
            )
        return periods.close(conn, link.name, label, who, frozen(found))


def frozen(found: Checklist) -> dict[str, Any]:
    """What is kept with the closing of a period."""
    assert found.report is not None
    return {
        "report": found.report.report_id, "hash": found.report.hash,
        "known_at": found.report.known_at.isoformat(), "first": found.period.first.isoformat(),
        "last": found.period.last.isoformat(),
        "checklist": [
            {"name": one.name, "found": one.found, "accepted": None if one.accepted is None else one.accepted.act_id}
            for one in found.facts
        ],
    }  # fmt: skip


def accept(conn: Connection, found: Checklist, act: Act, subject: str, who: str, note: str) -> int:
    """Puts down an act about just what was found. Returns its id.

    Raises:
        NotAccepted: nothing of that name is open, or it is a fact that nobody may accept.
    """
    if not subject.startswith(SUBJECTS[act]):
        raise NotAccepted(f"{act} is about {SUBJECTS[act]}..., not about {subject}")
    if act == "carried_forward":
        known = {one.subject: one.found for one in found.breaks}
    elif act == "variance_explained":
        known = {one.subject: one.found for one in found.variances if one.over}
    else:
        name = subject.removeprefix("fact:")
        if name not in ACCEPTABLE:
            raise NotAccepted(f"{name} is a fact that nobody may accept; those that may be are {', '.join(ACCEPTABLE)}")
        known = {f"fact:{one.name}": one.found for one in found.facts if not one.ok}
    if subject not in known:
        raise NotAccepted(
            f"{subject} of {found.period.label}: there is nothing of that name to put anything down about"
        )
    return acts.put_down(conn, found.link, found.period.label, act, subject, known[subject], who, note)


def _another_person(conn: Connection, link: str, label: str, who: str) -> None:
    there = periods.state_of(conn, link, label)
    if there is None or there.state != "closing":
        state = "open" if there is None else there.state
        raise Refused(f"{label} of {link} is {state}: a period is closed after somebody began closing it")
    same = conn.execute(sa.text("select tieout.same_person(:one, :other)"), {"one": there.changed_by, "other": who})
    if same.scalar_one():
        raise Refused(f"{label} of {link}: {who} began closing it, another person closes it")


def of_state(there: periods.PeriodState) -> Period:
    """A period as it was when it got its state: its days stay, whatever its calendar says since."""
    return Period(there.first, there.last, there.label, there.last.year, 0)
