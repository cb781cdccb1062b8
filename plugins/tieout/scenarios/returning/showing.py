"""What the CRM is told of returns: number, status, total and open rest of their credit notes. Confirmed facts only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.model.money import from_minor
from tieout.model.standing import SETTLED, VOID
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import chunks, common_rows
from tieout.scenarios.returning.facts import SUBJECT
from tieout.scenarios.services import Services
from tieout.scenarios.write_back import Fact, plan_facts


def plan(services: Services, run_id: UUID) -> int:
    """Plans a write for each return whose credit note is not shown as the ledger has it. Returns how many."""
    planned = 0
    for chunk in chunks(_confirmed(services)):
        notes, _ = common_rows(services, services.ledger, "credit_memo", ids=[row["vendor_id"] for row in chunk])
        by_id = {note["credit_memo_id"]: note for note in notes}
        facts = [_fact(services, row, by_id[row["vendor_id"]]) for row in chunk if row["vendor_id"] in by_id]
        planned += plan_facts(services, SUBJECT.entity, facts, run_id)
    return planned


def credit_notes(services: Services) -> list[str]:
    """Ids of the credit notes of returns that are not known to be settled: read again after delivery."""
    rows = _confirmed(services)
    notes = [row["vendor_id"] for row in rows]
    known, _ = common_rows(services, services.ledger, "credit_memo", ids=notes) if notes else ([], [])
    settled = {note["credit_memo_id"] for note in known if note["standing"] in (SETTLED, VOID)}
    return [note for note in notes if note not in settled]


def _confirmed(services: Services) -> list[dict[str, Any]]:
    """The latest credit note of each return that the CRM still has."""
    mapping = services.crm.mappings[SUBJECT.entity]
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"""
                select distinct on (i.source_id) i.source_id, i.vendor_id, i.frozen -> 'return' as returned,
                    (select r.amount_minor from tieout.intent r where r.target = i.target and r.source = i.source
                        and r.source_object = i.source_object and r.source_id = i.source_id and r.link = i.link
                        and r.revision = i.revision and r.kind = 'refund' and r.state = 'CONFIRMED') as refunded_minor
                from tieout.intent i join staging.{mapping.staged_entity().table} s
                    on s._connection = i.source and s._source_id = i.source_id and not s._deleted
                where i.link = :link and i.target = :ledger and i.source = :crm and i.source_object = :object
                  and i.kind = 'credit_memo' and i.state = 'CONFIRMED' order by i.source_id, i.revision desc
                """  # noqa: S608 - the table's name comes from StagedEntity
            ),
            {
                "link": services.link.name, "ledger": services.ledger.name, "crm": services.crm.name,
                "object": mapping.object,
            },
        ).mappings()  # fmt: skip
        return [dict(row) for row in rows]


def _fact(services: Services, row: Row, note: Row) -> Fact:
    common = {
        "return_id": row["source_id"], "currency": note["currency"], "credit_id": note["credit_memo_id"],
        "credit_number": note["number"], "credit_status": note["status"], "credit_total_minor": note["total_minor"],
        "credit_open_minor": note["remaining_minor"], "message": _message(row, note),
    }  # fmt: skip
    object_ = services.crm.mappings[SUBJECT.entity].object
    return Fact(services.crm.name, object_, row["source_id"], row["source_id"], row["vendor_id"], common)


def _message(row: Row, note: Row) -> str | None:
    """What sales tells the customer about the money."""
    if note["standing"] == VOID:
        return None
    if note["remaining_minor"]:
        part = "Part of the credit" if row["returned"]["allocate_minor"] else "The credit"
        return f"{part} is open: the invoice was paid. Finance refunds it or sets it against another one."
    if row["refunded_minor"]:
        return f"{from_minor(row['refunded_minor'], note['currency'])} {note['currency']} was paid back."
    return None
