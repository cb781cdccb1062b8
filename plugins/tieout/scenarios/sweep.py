"""The duplicate sweep: live documents of the ledger that carry our stamp and that nothing of ours accounts for.

Where a vendor keeps no lasting guard, a request that it applies later than its declared bounds makes a second document,
and no protocol can prevent that. It can be found: by our number or reference on it, and the crosswalk naming another.
What was staged since the last sweep is looked at; a document whose intent is still on its way is looked at again. What
a document is stands in stamped.py, what follows in doubles.py. Not swept: allocations and refunds (a ledger, or its
connector just before, refuses more than is due or open) and customers (the vendor refuses a second one of a number).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from tieout.model.link import Link
from tieout.model.standing import SALES_CREDIT, VOID
from tieout.scenarios import doubles, extraction
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import chunks, common_rows
from tieout.scenarios.plans import STAMP
from tieout.scenarios.services import Services
from tieout.scenarios.stamped import Owned, Verdict, verdicts
from tieout.store import runs, watermarks

NAME = "sweep"
#: What is swept, with the common model's word for the kind that is ours to post.
SWEPT = {"invoice": "invoice", "credit_memo": SALES_CREDIT}


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep found. `swept_until`: everything that the ledger had until then was looked at."""

    looked_at: int
    duplicates: int
    orphans: int
    unaccounted: int
    waiting: int
    proposal: int | None
    swept_until: datetime | None
    overdue: bool

    @property
    def found(self) -> int:
        """Documents that a person has to look at."""
        return self.duplicates + self.orphans + self.unaccounted


def sweep(services: Services, run_id: UUID) -> Swept:
    """Looks at what was staged since the last sweep; alarms and a proposal commit with the mark of how far it came."""
    found: list[tuple[str, Verdict]] = []
    looked_at, waiting = 0, 0
    marks: dict[str, tuple[int, datetime]] = {}
    with services.engine.begin() as conn:
        _one_at_a_time(conn, services.link.name)
        for entity in SWEPT:
            window = _window(conn, services, entity)
            if window is None:
                continue
            after, newest, until = window
            versions = _unnamed(conn, services, entity, after, newest)
            looked_at += len(versions)
            judged = [each for part in chunks(sorted(versions)) for each in _judged(conn, services, entity, part)]
            open_ = [versions[each.row["_source_id"]] for each in judged if each.what == "wait"]
            waiting += len(open_)
            marks[entity] = (min([newest, *(version - 1 for version in open_)]), until)
            found += [(entity, each) for each in judged if each.what != "wait"]
        proposal = doubles.propose(conn, services, found, run_id)
        doubles.alarm(conn, services, found, run_id)
        doubles.close_mended(conn, services)
        for entity, (version, until) in marks.items():
            watermarks.advance(
                conn, services.ledger.name, entity, _mark(services.link), version=version, at=until, run_id=run_id
            )
        last = last_sweep(conn, services.link)
        late = overdue(services.link, last, conn.execute(text("select now()")).scalar_one())
    counts = {what: sum(each.what == what for _, each in found) for what in ("duplicate", "orphan", "unaccounted")}
    return Swept(
        looked_at, counts["duplicate"], counts["orphan"], counts["unaccounted"], waiting, proposal, last, late
    )  # fmt: skip


def run(services: Services, trigger: str = "cli") -> dict[str, Any]:
    """A sweep by itself: reads what changed in the ledger, then looks. Returns `Swept` as a dict with `run_id`."""
    with services.engine.begin() as conn:
        run_id = runs.start(
            conn, link=services.link.name, scenario=NAME, trigger=trigger,
            mapping_hash=services.mapping_hash, suite_hash=services.suite_hash,
        )  # fmt: skip
    extraction.extract_side(services, services.ledger, run_id, only=[*SWEPT, "organisation"])
    swept = sweep(services, run_id)
    with services.engine.begin() as conn:
        runs.finish(conn, run_id, "partial" if swept.found else "succeeded", counts=numbers(swept))
    return {"run_id": str(run_id), **numbers(swept)}


def numbers(swept: Swept) -> dict[str, Any]:
    """For a run's summary, as JSON takes it."""
    until = None if swept.swept_until is None else swept.swept_until.isoformat()
    return {**asdict(swept), "swept_until": until, "found": swept.found}


def last_sweep(conn: Connection, link: Link) -> datetime | None:
    """Until when everything in the ledger was looked at; None when nothing was swept yet."""
    marks = [watermarks.read(conn, link.ledger, entity, _mark(link)) for entity in SWEPT]
    times = [mark.at if mark else None for mark in marks]
    return None if None in times else min(time for time in times if time is not None)


def overdue(link: Link, last: datetime | None, now: datetime) -> bool:
    """Whether a duplicate may have been there for longer than the link promises."""
    return last is None or now - last > timedelta(hours=link.sweep_within_hours)


# --- what is there ----------------------------------------------------------------------------------------------------


def _mark(link: Link) -> str:
    return f"sweep:{link.name}"


def _one_at_a_time(conn: Connection, link: str) -> None:
    conn.execute(text("select pg_advisory_xact_lock(hashtextextended('tieout.sweep:' || :link, 0))"), {"link": link})


def _window(conn: Connection, services: Services, entity: str) -> tuple[int, int, datetime] | None:
    """Last swept version, newest staged one, until when the ledger was read; None when it never was read to an end."""
    extracted = watermarks.read(conn, services.ledger.name, entity, "extract")
    swept = watermarks.read(conn, services.ledger.name, entity, _mark(services.link))
    if extracted is None or extracted.at is None:
        return None
    table = services.ledger.mappings[entity].staged_entity().table
    newest = conn.execute(
        text(f"select max(_version) from staging.{table} where _connection = :connection"),  # noqa: S608 - StagedEntity
        {"connection": services.ledger.name},
    ).scalar_one()
    after = (swept.version if swept else None) or 0
    return after, max(newest or 0, after), extracted.at


def _unnamed(conn: Connection, services: Services, entity: str, after: int, upto: int) -> dict[str, int]:
    """Ledger's id -> staged version of what came since and is in no crosswalk row."""
    table = services.ledger.mappings[entity].staged_entity().table
    rows = conn.execute(
        text(
            f"select s._source_id, s._version from staging.{table} s where s._connection = :connection "  # noqa: S608
            # The scalar subquery goes by the index; as an anti-join the whole crosswalk may be read for a few rows.
            "and s._version > :after and s._version <= :upto and not s._deleted and (select c.doc_uid "
            "from tieout.crosswalk c where c.target = :connection and c.vendor_id = s._source_id "
            "and c.entity = :entity) is null"
        ),
        {"connection": services.ledger.name, "after": after, "upto": upto, "entity": entity},
    )
    return {row._source_id: row._version for row in rows}


def _judged(conn: Connection, services: Services, entity: str, ids: Sequence[str]) -> list[Verdict]:
    rows = [
        row for row in common_rows(services, services.ledger, entity, ids=ids)[0]
        if row["standing"] != VOID and row["kind"] == SWEPT[entity]
    ]  # fmt: skip
    key = "number" if entity == "invoice" else "reference"
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row[key]:
            groups[row[key]].append(row)
    owned = _owned(conn, services, entity, sorted(groups))
    found: list[Verdict] = []
    for stamp, group in groups.items():
        of_stamp = owned.get(stamp, [])
        found += verdicts([row for row in group if of_stamp or _is_stamped(services, entity, row)], of_stamp,
                          services.link.name)  # fmt: skip
    return found


def _is_stamped(services: Services, entity: str, row: Row) -> bool:
    """Whether it says itself that it is ours: a credit note by its reference, an invoice by its link to the CRM."""
    if entity == "credit_memo":
        return str(row["reference"]).startswith(STAMP)
    return (row["source_url"] or "").startswith(services.crm.record_url(""))


def _owned(conn: Connection, services: Services, entity: str, stamps: Sequence[str]) -> Mapping[str, list[Owned]]:
    rows = conn.execute(
        text(
            "select natural_key, doc_uid, state, vendor_id, link, source_object, source_id from tieout.intent "
            "where target = :target and kind in (:kind, 'write_off') and entity = :kind "
            "and natural_key = any(:stamps) order by intent_id"
        ),
        {"target": services.ledger.name, "kind": entity, "stamps": list(stamps)},
    )
    found: dict[str, list[Owned]] = defaultdict(list)
    for stamp, *values in rows:
        found[stamp].append(Owned(*values))
    return found
