"""The daily recount: what a closed period comes to now against what was frozen, document by document, and who moved it.

By whom: our own write, where Tieout confirmed one since; else what the ledger's history says of the document (asked for
documents that moved only); else that nobody told. A period that is being closed gets its report and its control
account here, so that its checklist is of today.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.connectors.base import GeneralLedger
from tieout.model.calendar import Period
from tieout.model.errors import PermissionDenied, VendorFault
from tieout.model.tie_out import shown
from tieout.reconcile import period_report
from tieout.reconcile.period_report import PeriodReport
from tieout.scenarios import reconciliation
from tieout.scenarios.periods import control, report, standing
from tieout.scenarios.periods.standing import Moved
from tieout.scenarios.services import Services
from tieout.scenarios.steps import Numbers
from tieout.store import periods
from tieout.store.engine import dumps

log = logging.getLogger(__name__)

#: Documents of a period whose history the ledger is asked for, the largest moves first: each is a call.
MOST_ASKED = 100
#: Documents that a page or a notice lists.
MOST_LISTED = 200
NOT_TOLD = {"a": "not told by the CRM", "b": "not told by the ledger"}


@dataclass(frozen=True, slots=True)
class Recount:
    """One recount. `figures`: [{area, currency, scale, a_before, a_after, b_before, b_after}] of what moved."""

    recount_id: int
    link: str
    label: str
    report_id: int
    run_id: UUID
    known_at: datetime
    moved: int
    figures: Sequence[Mapping[str, Any]]
    at: datetime

    @property
    def in_words(self) -> str:
        """A sentence for a page or a notice."""
        if not self.moved:
            return f"Closed period {self.label}: nothing moved since it was closed."
        parts = []
        for one in self.figures:
            for side, name in (("a", "CRM"), ("b", "ledger")):
                change = one[f"{side}_after"] - one[f"{side}_before"]
                if change:
                    parts.append(f"{one['area'].replace('_', ' ')} in the {name} by "
                                 f"{shown(change, one['scale'])} {one['currency']}")  # fmt: skip
        return (
            f"Closed period {self.label} MOVED since it was closed: {self.moved} documents"
            + (f", {', '.join(parts)}" if parts else "")
            + "."
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A document that moved, since when and by whom; see standing.Moved."""

    side: str
    area: str
    key: str
    currency: str
    scale: int
    before: int | None
    after: int | None
    before_day: date | None
    after_day: date | None
    label: str | None
    customer_name: str | None
    since: datetime | None
    actor: str
    how: str


def run(services: Services, run_id: UUID) -> Numbers:
    """Recounts every closed period of the link, and makes the reports of those that are being closed.

    Returns:
        closed: [{period, moved, said}]; closing: [{period, report, state, control}].
    """
    with services.engine.connect() as conn:
        states = periods.states(conn, services.link.name)
    closed, closing = [], []
    for there in states:
        period = Period(there.first, there.last, there.label, there.last.year, 0)
        if there.state == "closed":
            try:
                made = recount(services, period, run_id)
            except period_report.NoSuchPeriodReport as error:
                # Closed before there were period reports, or past closing.close: there is nothing to hold it against.
                closed.append({"period": period.label, "moved": 0, "said": f"Not recounted: {error}."})
                continue
            closed.append({"period": made.label, "moved": made.moved, "said": made.in_words})
        elif there.state == "closing":
            numbers = report.make(services, period, run_id)
            closing.append({"period": period.label, "report": numbers["report"], "state": numbers["state"],
                            "control": _control(services, period, run_id)})  # fmt: skip
    return {"closed": closed, "closing": closing}


def recount(services: Services, period: Period, run_id: UUID) -> Recount:
    """Counts one closed period anew and keeps what moved since it was frozen.

    Raises:
        NoSuchPeriodReport: it was closed without one.
    """
    with services.engine.connect() as conn:
        was = frozen(conn, services.link.name, period.label)
    at = reconciliation.clock(services)
    counted = report.count(services, period, at)
    with services.engine.begin() as conn:
        report.fill(conn, counted)
        moved = standing.moved(conn, was.report_id, period)
    told = [_told(services, one, was.known_at, place < MOST_ASKED) for place, one in enumerate(_largest(moved))]
    with services.engine.begin() as conn:
        return _keep(conn, was, run_id, at, told)


def frozen(conn: Connection, link: str, label: str) -> PeriodReport:
    """The report that the last closing of a period froze.

    Raises:
        NoSuchPeriodReport: it was never closed with one.
    """
    for event in periods.events(conn, link, label):
        if event.event == "closed" and event.detail.get("report") is not None:
            return period_report.get(conn, int(event.detail["report"]))
    raise period_report.NoSuchPeriodReport(f"{label} of {link} was not closed with a period report")


def newest(conn: Connection, link: str, label: str) -> Recount | None:
    """The last recount of a period; None where it was not recounted yet."""
    return next(iter(_read(conn, "link = :link and label = :label", {"link": link, "label": label})), None)


def of_run(conn: Connection, run_id: UUID) -> Sequence[Recount]:
    """What a run recounted, the newest first."""
    return _read(conn, "run_id = :run", {"run": run_id})


def told(conn: Connection, recount_id: int) -> Sequence[Told]:
    """The documents that a recount found moved, the largest moves first, at most MOST_LISTED."""
    columns = ", ".join(Told.__dataclass_fields__)
    rows = conn.execute(
        sa.text(
            f"select {columns} from tieout.period_recount_item where recount_id = :id "  # noqa: S608 - our own names
            "order by abs(coalesce(after, 0) - coalesce(before, 0)) desc, side, area, key limit :most"
        ),
        {"id": recount_id, "most": MOST_LISTED},
    )
    return [Told(*row) for row in rows]


def _read(conn: Connection, where: str, values: Mapping[str, Any]) -> Sequence[Recount]:
    columns = ", ".join(Recount.__dataclass_fields__)
    rows = conn.execute(
        sa.text(f"select {columns} from tieout.period_recount where {where} order by recount_id desc limit 500"),  # noqa: S608
        values,
    )
    return [Recount(*row) for row in rows]


def _control(services: Services, period: Period, run_id: UUID) -> str:
    """What the control account says. That it cannot be read fails no day's tie-out; the checklist says so."""
    try:
        read = control.read(services, period, run_id)
    except (PermissionDenied, VendorFault) as error:
        log.warning("the control account of %s was not read: %s", period.label, error)
        return f"not read: {error}"
    return "equal" if not read.difference else f"differs by {shown(read.difference, read.scale)} {read.currency}"


def _largest(moved: Sequence[Moved]) -> Sequence[Moved]:
    return sorted(moved, key=lambda one: -abs((one.after or 0) - (one.before or 0)))


# --- by whom ----------------------------------------------------------------------------------------------------------


def _told(services: Services, one: Moved, since: datetime, ask: bool) -> Told:
    when, actor, how = _ours(services, one, since) or _theirs(services, one, since, ask)
    return Told(one.side, one.area, one.key, one.currency, one.scale, one.before, one.after, one.before_day,
                one.after_day, one.label, one.customer_name, when, actor, how)  # fmt: skip


def _ours(services: Services, one: Moved, since: datetime) -> tuple[datetime, str, str] | None:
    """Our own newest write of this document or record that was confirmed since."""
    side = services.crm if one.side == "a" else services.ledger
    id_ = one.key.partition(":")[2]
    with services.engine.connect() as conn:
        row = conn.execute(
            sa.text(
                "select i.intent_id, i.kind, i.run_id, i.updated_at, r.scenario from tieout.intent i "
                "left join tieout.sync_run r using (run_id) where i.target = :target and i.state = 'CONFIRMED' "
                "and i.updated_at > :since and (i.vendor_id = :id or i.natural_key = :id "
                "or (i.source = :target and i.source_id = :id)) order by i.updated_at desc limit 1"
            ),
            {"target": side.name, "since": since, "id": id_},
        ).one_or_none()
    if row is None:
        return None
    said = f"{row.kind.replace('_', ' ')}, write {row.intent_id} of run {row.run_id}"
    return row.updated_at, f"Tieout ({row.scenario or 'unknown run'})", said


def _theirs(
    services: Services, one: Moved, since: datetime, ask: bool
) -> tuple[datetime | None, str, str]:  # fmt: skip
    """What the ledger's own history says happened to the document since."""
    entity, _, id_ = one.key.partition(":")
    if one.side == "a" or not isinstance(services.ledger.connector, GeneralLedger):
        return one.changed_at, NOT_TOLD[one.side], "the record changed"
    if not ask:
        return one.changed_at, NOT_TOLD[one.side], f"not asked: the {MOST_ASKED} largest moves were"
    entries = services.ledger.connector.history(services.ledger.mappings[entity].object, id_)
    for entry in entries:
        if entry.at is not None and entry.at > since:
            return entry.at, entry.user or NOT_TOLD["b"], entry.what
    return one.changed_at, NOT_TOLD["b"], "its history says nothing since the period was closed"


# --- keeping ----------------------------------------------------------------------------------------------------------


def _keep(conn: Connection, was: PeriodReport, run_id: UUID, at: datetime, told: Sequence[Told]) -> Recount:
    figures = _figures(told)
    made = conn.execute(
        sa.text(
            "insert into tieout.period_recount (link, label, report_id, run_id, known_at, moved, figures) values "
            "(:link, :label, :report, :run, :at, :moved, cast(:figures as jsonb)) returning recount_id"
        ),
        {"link": was.link, "label": was.label, "report": was.report_id, "run": run_id, "at": at, "moved": len(told),
         "figures": dumps(figures)},
    ).scalar_one()  # fmt: skip
    if told:
        names = list(Told.__dataclass_fields__)
        conn.execute(
            sa.text(
                f"insert into tieout.period_recount_item (recount_id, {', '.join(names)}) "  # noqa: S608 - our own names
                f"values (:recount_id, {', '.join(f':{name}' for name in names)})"
            ),
            [{"recount_id": made, **{name: getattr(one, name) for name in names}} for one in told],
        )
    return _read(conn, "recount_id = :id", {"id": made})[0]


def _figures(told: Sequence[Told]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in told:
        figures = found.setdefault(
            (one.area, one.currency),
            {"area": one.area, "currency": one.currency, "scale": one.scale, "a_before": 0, "a_after": 0,
             "b_before": 0, "b_after": 0},
        )  # fmt: skip
        figures[f"{one.side}_before"] += one.before or 0
        figures[f"{one.side}_after"] += one.after or 0
    return [found[key] for key in sorted(found)]
