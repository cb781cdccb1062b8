"""The checklist of a fiscal period: facts from the store, each with what was found and what to do about it.

Nobody overrides a fact. What a person may put down (acts.py): a break is carried forward, a variance is explained, and
days without a report, a control account that differs or a ledger that is not locked are accepted as an exception, with
a reason, for just what was found. Not to be accepted: a report that does not tie, writes that may still be sent,
missing sign-offs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.mapping.load import load_system
from tieout.model.calendar import Period
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.model.tie_out import Total, shown
from tieout.reconcile import period_report, report_store, sign_off
from tieout.reconcile.period_report import Line, PeriodReport
from tieout.scenarios.periods import acts, control
from tieout.scenarios.periods.acts import PeriodAct
from tieout.scenarios.rules import lock_dates

#: Days, breaks or writes that a sentence names; the count is of all of them.
NAMED = 5
#: Facts that a person may accept as they are, with a reason.
ACCEPTABLE = ("days", "control_account", "ledger_lock")
#: States of a write that may still be sent.
UNSENT = ("READY", "CLAIMED", "IN_FLIGHT", "UNKNOWN", "HELD")


@dataclass(frozen=True, slots=True)
class Fact:
    """One line.

    Attributes:
        ok: it holds by itself.
        found: a sentence; what an acceptance is of.
        remedy: what to do; empty where it holds.
        where: path of the page that shows it, below ours.
        accepted: the act by which a person accepted just this.
    """

    name: str
    title: str
    ok: bool
    found: str
    remedy: str = ""
    where: str = ""
    accepted: PeriodAct | None = None

    @property
    def met(self) -> bool:
        """Whether the period can be closed as far as this goes."""
        return self.ok or self.accepted is not None


@dataclass(frozen=True, slots=True)
class Variance:
    """An area and currency of one side against the period before, in minor units; `percent` None: nothing before."""

    area: str
    currency: str
    scale: int
    side: str
    before: int
    now: int
    percent: Decimal | None
    over: bool
    explained: PeriodAct | None

    @property
    def change(self) -> int:
        """Now less before."""
        return self.now - self.before

    @property
    def subject(self) -> str:
        """What an explanation is of."""
        return f"variance:{self.side}:{self.area}:{self.currency}"

    @property
    def found(self) -> str:
        """What an explanation holds for."""
        return f"{self.before} -> {self.now}"


@dataclass(frozen=True, slots=True)
class Open:
    """A difference of the period that nobody has explained; `found` is what a carrying forward holds for."""

    line: Line
    state: str
    carried: PeriodAct | None

    @property
    def subject(self) -> str:
        """What a carrying forward is of."""
        return f"break:{self.line.identity}"

    @property
    def found(self) -> str:
        """What a carrying forward holds for."""
        return f"{self.line.class_} {self.line.amount} {self.line.currency}"


@dataclass(frozen=True, slots=True)
class Checklist:
    """A period's facts as they are. `breaks`: the differences that are not settled, carried forward or not."""

    link: str
    period: Period
    report: PeriodReport | None
    totals: Sequence[Total]
    facts: Sequence[Fact]
    variances: Sequence[Variance]
    breaks: Sequence[Open]
    control: control.Control | None

    @property
    def missing(self) -> list[Fact]:
        """What keeps the period from being closed."""
        return [fact for fact in self.facts if not fact.met]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "link": self.link, "period": self.period.label, "first": self.period.first, "last": self.period.last,
            "report": self.report.report_id if self.report else None, "hash": self.report.hash if self.report else None,
            "facts": [
                {"name": one.name, "ok": one.ok, "met": one.met, "found": one.found, "remedy": one.remedy,
                 "accepted": None if one.accepted is None else
                 {"by": one.accepted.actor, "at": one.accepted.at, "note": one.accepted.note}}
                for one in self.facts
            ],
            "variances": [{**{name: value for name, value in asdict(one).items() if name != "explained"},
                           "explained": one.explained.note if one.explained else None} for one in self.variances],
        }  # fmt: skip


def evaluate(
    conn: Connection, settings: Settings, link: Link, period: Period, before: Period | None
) -> Checklist:  # fmt: skip
    """The checklist of a period as things stand. `before`: the period before it, for the variances."""
    known = acts.standing(acts.of_period(conn, link.name, period.label))
    report = period_report.newest(conn, link.name, period.label)
    found = period_report.totals(conn, report.report_id) if report else []
    breaks = _open(conn, link.name, report, known)
    variances = _variances(conn, link, found, before, known)
    read = control.newest(conn, link.name, period.label)
    facts = [
        _report(report, found, link, period),
        _days(conn, link.name, period),
        _writes(conn, link.name, period),
        _breaks(breaks, link.name, report is not None),
        _control(read, link.name, period),
        _variance(variances, report is not None, before),
        _signed(conn, link.name, period),
        _lock(conn, settings, link, period),
    ]
    facts = [Fact(one.name, one.title, one.ok, one.found, one.remedy, one.where,
                  known.get((f"fact:{one.name}", one.found)) if one.name in ACCEPTABLE and not one.ok else None)
             for one in facts]  # fmt: skip
    return Checklist(link.name, period, report, found, facts, variances, breaks, read)


# --- the facts --------------------------------------------------------------------------------------------------------


def _report(report: PeriodReport | None, found: Sequence[Total], link: Link, period: Period) -> Fact:
    title = "The period report ties"
    make = (
        f"`tieout period report {link.name} {period.label}`; while it is closing, each day's reconciliation makes one"
    )
    if report is None:
        return Fact("report", title, False, "There is none.", make)
    at = f"Report {report.report_id}, as staged at {report.known_at:%Y-%m-%d %H:%M} UTC,"
    if (report.first, report.last) != (period.first, period.last):
        return Fact("report", title, False, f"{at} is of {report.first} to {report.last}: the calendar changed.", make)
    if report.state != "tied":
        off = [f"{one.area} {one.text(one.unexplained)} {one.currency}" for one in found if one.unexplained]
        return Fact("report", title, False, f"{at} leaves unexplained: {', '.join(off)}.",
                    "This is a fault of the reconciliation: report it.")  # fmt: skip
    return Fact("report", title, True, f"{at} ties: hash {report.hash}.")


def _days(conn: Connection, link: str, period: Period) -> Fact:
    title = "Every day was reconciled"
    reports = {one.as_of: one for one in report_store.days(conn, link, period.first, period.last)}
    all_days = [period.first + timedelta(days=n) for n in range((period.last - period.first).days + 1)]
    without = [day for day in all_days if day not in reports]
    untied = [day for day, one in reports.items() if one.state != "tied"]
    where = f"/tie-outs/{link}/{max(reports)}" if reports else ""
    if not without and not untied:
        return Fact("days", title, True, f"All {len(all_days)} days have a report that ties.", where=where)
    said = [f"{len(some)} of {len(all_days)} days {words}: {_named(some)}"
            for some, words in ((without, "have no report"), (untied, "do not tie")) if some]  # fmt: skip
    return Fact("days", title, False, "; ".join(said) + ".",
                f"`tieout reconcile run {link} --as-of DAY`, or backfill the DAG reconciliation__{link}; what cannot "
                "be made up for is accepted with a reason", where)  # fmt: skip


def _writes(conn: Connection, link: str, period: Period) -> Fact:
    title = "Nothing dated in it may still be sent"
    rows = conn.execute(
        sa.text(
            "select intent_id, state from tieout.intent where link = :link and posting_date between :first and :last "
            "and state = any(:unsent) order by intent_id"
        ),
        {"link": link, "first": period.first, "last": period.last, "unsent": list(UNSENT)},
    ).all()
    if not rows:
        return Fact("writes", title, True, "No write dated in it is uncertain, held or unsent.")
    named = _named([f"write {row.intent_id} {row.state.lower()}" for row in rows])
    return Fact("writes", title, False, f"{len(rows)} are not settled: {named}.",
                "Deliver, settle or cancel them: page Writes", f"/writes?{urlencode({'link': link})}")  # fmt: skip


def _open(
    conn: Connection, link: str, report: PeriodReport | None, known: Mapping[tuple[str, str], PeriodAct]
) -> list[Open]:
    """What differs above its tolerance without a reason of a person; moves into other periods explain themselves."""
    if report is None:
        return []
    lines = [one for one in period_report.lines(conn, report.report_id)
             if one.component != "period" and not one.within_tolerance]  # fmt: skip
    rows = conn.execute(
        sa.text(
            "select identity, state, reason_code, class as named, amount, currency from tieout.break "
            "where link = :link and identity = any(:identities)"
        ),
        {"link": link, "identities": [one.identity for one in lines]},
    )
    breaks = {row.identity: row for row in rows}
    found = []
    for line in lines:
        row = breaks.get(line.identity)
        same = row is not None and (row.named, row.amount, row.currency) == (line.class_, line.amount, line.currency)
        if row is not None and same and (row.state in ("accepted", "closed") or row.reason_code is not None):
            continue
        state = "the daily report does not have it" if row is None else row.state
        one = Open(line, state, None)
        found.append(Open(line, state, known.get((one.subject, one.found))))
    return found


def _breaks(found: Sequence[Open], link: str, reported: bool) -> Fact:
    title = "Its breaks are explained or carried forward"
    if not reported:
        return Fact("breaks", title, False, "Not known without a period report.", "Make the period report first")
    left = [one for one in found if one.carried is None]
    carried = len(found) - len(left)
    if not left:
        return Fact("breaks", title, True, f"All are settled, {carried} of them carried forward.")
    named = _named([f"{shown(one.line.amount, one.line.scale)} {one.line.currency} {one.line.class_}" for one in left])
    return Fact("breaks", title, False, f"{len(left)} are not: {named}.",
                "Give each a reason code, have it accepted, or carry it forward with a note",
                f"/breaks?{urlencode({'link': link})}")  # fmt: skip


def _control(read: control.Control | None, link: str, period: Period) -> Fact:
    title = "The subledger is the ledger's control account"
    if read is None or read.last != period.last:
        return Fact(
            "control_account", title, False, "It was not read yet.", f"`tieout period report {link} {period.label}`"
        )
    said = (
        f"{read.account} is {shown(read.control, read.scale)} {read.currency} at the end of {read.last}, the open "
        f"documents come to {shown(read.subledger, read.scale)}"
    )
    if not read.difference:
        return Fact("control_account", title, True, f"{said}.")
    return Fact("control_account", title, False, f"{said}: {shown(read.difference, read.scale)} differs.",
                "Look for journals that were entered by hand on the control account, and for documents that were "
                "revalued; read it again, or accept it with a reason")  # fmt: skip


def _variance(found: Sequence[Variance], reported: bool, before: Period | None) -> Fact:
    title = "Variances over the threshold are explained"
    if not reported:
        return Fact("variances", title, False, "Not known without a period report.", "Make the period report first")
    if before is None or not found:
        return Fact("variances", title, True, "There is no report of a period before it.")
    over = [one for one in found if one.over]
    left = [one for one in over if one.explained is None]
    if not left:
        return Fact("variances", title, True, f"{len(over)} over the threshold, all explained.")
    named = _named([f"{one.area} {one.currency} in the {one.side} by {shown(one.change, one.scale)}" for one in left])
    return Fact("variances", title, False, f"{len(left)} of {len(over)} are not explained: {named}.",
                "Explain each with a note")  # fmt: skip


def _variances(
    conn: Connection, link: Link, found: Sequence[Total], before: Period | None,
    known: Mapping[tuple[str, str], PeriodAct],
) -> list[Variance]:  # fmt: skip
    earlier = period_report.newest(conn, link.name, before.label) if before else None
    if earlier is None:
        return []
    was = {(one.area, one.currency): one for one in period_report.totals(conn, earlier.report_id)}
    now = {(one.area, one.currency): one for one in found}
    made = []
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        scale = (new or old).scale  # type: ignore[union-attr] # one of the two is there
        for side, name in (("CRM", "a_amount"), ("ledger", "b_amount")):
            one = _one(link, (*key, scale, side), getattr(old, name, 0), getattr(new, name, 0), None)
            made.append(_one(link, (*key, scale, side), one.before, one.now, known.get((one.subject, one.found))))
    return made


def _one(link: Link, of: tuple[str, str, int, str], before: int, now: int, explained: PeriodAct | None) -> Variance:
    area, currency, scale, side = of
    change = abs(now - before)
    percent = None if not before else (Decimal(100) * (now - before) / abs(before)).quantize(Decimal("0.1"))
    bounds = link.periods
    over = change > bounds.variance_minor and (percent is None or abs(percent) > bounds.variance_percent)
    return Variance(area, currency, scale, side, before, now, percent, over, explained)


def _signed(conn: Connection, link: str, period: Period) -> Fact:
    title = "The last day is signed by two people"
    found = sign_off.standing(conn, link, period.last)
    where = f"/tie-outs/{link}/{period.last}"
    if found.report is None:
        return Fact("sign_offs", title, False, f"{period.last} has no report to sign.",
                    f"`tieout reconcile run {link} --as-of {period.last}`")  # fmt: skip
    if found.complete and found.preparer and found.reviewer:
        said = f"Prepared by {found.preparer.person}, reviewed by {found.reviewer.person}."
        return Fact("sign_offs", title, True, said, where=where)
    lacks = [role for role, one in (("preparer", found.preparer), ("reviewer", found.reviewer)) if one is None]
    return Fact("sign_offs", title, False, f"The {' and the '.join(lacks)} of {period.last} did not sign what counts.",
                "Sign the report of the last day", where)  # fmt: skip


def _lock(conn: Connection, settings: Settings, link: Link, period: Period) -> Fact:
    title = "The ledger itself is locked"
    mapping = load_system(settings.include / "mappings", link.ledger_system)["organisation"]
    until: date | None = max(lock_dates(conn, link.ledger, mapping).values(), default=None)
    said = "It has no lock date." if until is None else f"It is locked up to {until}."
    if until is not None and until >= period.last:
        return Fact("ledger_lock", title, True, said)
    return Fact("ledger_lock", title, False, said,
                f"Set the ledger's lock date to {period.last}; the next run reads it. Without it finance can still "
                "change the period there, which the daily recount tells; or accept it with a reason")  # fmt: skip


def _named(some: Sequence[Any]) -> str:
    return ", ".join(str(one) for one in some[:NAMED]) + (", ..." if len(some) > NAMED else "")
