"""After delivery: the ledger's answers become staged rows, each pending record learns what became of its document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.model.errors import Rejection
from tieout.model.money import from_minor
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import chunks, common_rows
from tieout.scenarios.plans import moved
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import Subject, subject_of
from tieout.store import dead_letters, documents, staging
from tieout.store.documents import Judgement

TAX_DIFFERS = "tax_differs"


def stage_answers(services: Services, since: datetime, run_id: UUID) -> int:
    """Stages the documents that the ledger returned when it confirmed them, as if they had been extracted.

    So the write-back and the summary state what the ledger said, and the next extract meets unchanged rows. Nothing
    depends on it: an answer that is not staged here is extracted by the next run.

    Args:
        since: the database's time before delivery began.

    Returns:
        How many documents were staged.
    """
    staged = 0
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                "select entity, answer from tieout.intent "
                "where target = :target and link = :link and state = 'CONFIRMED' "
                "and answer is not null and (updated_at >= :since or run_id = :run_id)"
            ),
            {"target": services.ledger.name, "link": services.link.name, "since": since, "run_id": run_id},
        ).all()
    by_entity: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        mapping = services.ledger.mappings.get(row.entity)
        if mapping is not None and mapping.is_staged and mapping.key in row.answer:
            by_entity.setdefault(row.entity, []).append(row.answer)
    for entity, answers in sorted(by_entity.items()):
        declared = services.ledger.mappings[entity].staged_entity()
        staging.stage(services.engine, declared, services.ledger.name, [answers], run_id)
        staged += len(answers)
    return staged


def settle(services: Services, run_id: UUID) -> dict[str, int]:
    """Judges what delivery made of each pending document.

    Returns:
        Counts of outcomes, and `tax_differs`: invoices whose tax the ledger computed otherwise than the CRM expects.
    """
    subject = subject_of(services)
    with services.engine.connect() as conn:
        pending = documents.waiting(conn, services.link.name, subject.entity)
    counts: Counter[str] = Counter()
    for chunk in chunks(pending):
        counts.update(_settle_chunk(services, subject, chunk, run_id))
    return dict(counts)


def _settle_chunk(services: Services, subject: Subject, pending: Sequence[Judgement], run_id: UUID) -> Counter[str]:
    intents = _intents(services, [item.doc_uid for item in pending if item.doc_uid])
    confirmed = {
        row["vendor_id"] for row in intents.values() if row["state"] == "CONFIRMED" and row["kind"] == "invoice"
    }
    found, unreadable = common_rows(services, services.ledger, "invoice", ids=confirmed) if confirmed else ([], [])
    invoices = {row["invoice_id"]: row for row in found}
    refused = {item.source_id: item for item in unreadable}
    judgements, letters = [], []
    for item in pending:
        intent = intents.get(item.doc_uid or "")
        if intent is None:
            continue
        judgements.append(_settled(item, intent, invoices.get(intent["vendor_id"])))
        if (problem := refused.get(intent["vendor_id"])) is not None:
            # It is posted, and the ledger's figures cannot be read exactly: that nobody may overlook.
            judgements[-1] = replace(item, outcome="held", reason=problem.reason, message=problem.message)
            letters.append(replace(problem, entity=subject.entity, source_id=item.source_id))
        if (difference := _tax_difference(services, subject, item, intent, invoices)) is not None:
            letters.append(difference)
    with services.engine.begin() as conn:
        documents.upsert(conn, services.link.name, subject.entity, judgements, run_id)
        dead_letters.record(
            conn, letters, connection=services.crm.name, stage="settle", run_id=run_id, link=services.link.name
        )
        dead_letters.close_mended(
            conn, connection=services.crm.name, link=services.link.name, entity=subject.entity, stages=["settle"],
            source_ids=[item.source_id for item in judgements if item.outcome == "posted"],
            failing=[(letter.source_id, letter.reason) for letter in letters],
        )  # fmt: skip
    counts: Counter[str] = Counter(item.outcome for item in judgements)
    counts[TAX_DIFFERS] += len(letters)
    return counts


def _intents(services: Services, doc_uids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select doc_uid, kind, state, vendor_id, reason, message, frozen from tieout.intent "
                "where target = :target and doc_uid = any(:uids)"
            ),
            {"target": services.ledger.name, "uids": list(doc_uids)},
        ).mappings()
        return {row["doc_uid"]: dict(row) for row in rows}


def _settled(item: Judgement, intent: Mapping[str, Any], invoice: Row | None) -> Judgement:
    state = intent["state"]
    if state == "CONFIRMED" and intent["kind"] == "invoice":
        if invoice is None:
            return item  # confirmed, and its document is not staged yet: the next run reads it
        noted = moved(intent["frozen"])
        return replace(item, outcome="posted", reason=None, message=noted, posted_minor=invoice["subtotal_minor"])
    if state == "CONFIRMED" and (proposal := intent["frozen"].get("proposal")) is not None:
        words = f"taken back by proposal {proposal}"
        return replace(item, outcome="reversed", reason="rolled_back", message=words, posted_minor=0)
    if state == "CONFIRMED":
        return replace(item, outcome="cancelled", reason="source_cancelled", message=f"cancelled by {intent['kind']}")
    given_up = state == "CANCELLED" and intent["kind"] != "invoice"  # by a person: the invoice is in force
    if state in ("HELD", "REJECTED") or given_up:
        return replace(item, outcome="held", reason=intent["reason"], message=intent["message"])
    return replace(item, reason=intent["reason"], message=intent["message"])


def _tax_difference(
    services: Services, subject: Subject, item: Judgement, intent: Mapping[str, Any], invoices: Mapping[str, Row]
) -> Rejection | None:
    """The ledger's tax against what the CRM expects; told, not held: the ledger's is the one that counts."""
    expected = intent["frozen"].get("expected_tax_minor")
    invoice = invoices.get(intent["vendor_id"])
    if expected is None or invoice is None or invoice["tax_minor"] is None or item.currency is None:
        return None
    if abs(invoice["tax_minor"] - expected) <= services.link.tolerances.tax_minor:
        return None
    return Rejection(
        services.crm.system, subject.entity, item.source_id, TAX_DIFFERS,
        f"the ledger computed another tax on invoice {invoice['number']} than the CRM expects",
        f"{from_minor(expected, item.currency)} {item.currency}, "
        f"within {services.link.tolerances.tax_minor} minor units",
        f"{from_minor(invoice['tax_minor'], item.currency)} {item.currency}",
        "compare the tax codes of the order's lines with the ledger's tax rates",
    )  # fmt: skip
