"""Only confirmed facts go back to the CRM: ids and numbers, status, what is due, paid, refunded; invoices by hand.

Everything is derived from what the ledger's records say, compared with what was written last: run again, it writes
nothing. Each write is an intent of its own, delivered by the same protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.delivery import intents
from tieout.delivery.intents import NewIntent
from tieout.mapping.payload import bodies
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.frames import chunks, common_rows, native_frame
from tieout.scenarios.refunds import Refunds, refunds
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import subject_of
from tieout.store import watermarks
from tieout.store.engine import join_whole_tables

KIND = "write_back"
OPERATIONS = {
    "account": "accounts.write_back",
    "order": "orders.write_back",
    "opportunity": "opportunities.write_back",
    "ledger_invoice": "ledger_invoices.upsert",
    "quote": "quotes.write_back",
    "return_order": "return_orders.write_back",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """What the CRM is to show of one record.

    Attributes:
        common: the write-back fields of model/common.py.
        derived_from: facts that are kept with the intent, by which the next run sees whether they changed.
    """

    source: str
    source_object: str
    source_id: str
    natural_key: str
    vendor_id: str
    common: Mapping[str, Any]
    derived_from: Mapping[str, str] = field(default_factory=dict)


def plan(services: Services, run_id: UUID) -> dict[str, int]:
    """Plans the writes that make the CRM say what the ledger says. Returns how many of each kind."""
    upto = _newest_version(services)
    counts = {
        "accounts": _plan(services, "account", _accounts(services), run_id),
        "documents": _plan(services, subject_of(services).entity, _documents(services), run_id),
        "raised_by_hand": _plan(services, "ledger_invoice", _raised_by_hand(services), run_id),
    }
    if upto:
        with services.engine.begin() as conn:
            watermarks.advance(conn, services.ledger.name, "invoice", _mark(services), version=upto, run_id=run_id)
    return counts


def _mark(services: Services) -> str:
    return f"write_back:{services.link.name}"


def _newest_version(services: Services) -> int:
    table = services.ledger.mappings["invoice"].staged_entity().table
    with services.engine.connect() as conn:
        newest = conn.execute(
            text(f"select max(_version) from staging.{table} where _connection = :connection"),  # noqa: S608
            {"connection": services.ledger.name},
        ).scalar_one()
    return newest or 0


def _after(services: Services) -> int:
    with services.engine.connect() as conn:
        mark = watermarks.read(conn, services.ledger.name, "invoice", _mark(services))
    return 0 if mark is None or mark.version is None else mark.version


def _accounts(services: Services) -> list[Fact]:
    """Accounts that are linked and do not show it yet."""
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                """
                select c.source_object, c.source_id, c.vendor_id, c.vendor_number from tieout.crosswalk c
                where c.link = :link and c.target = :target and c.entity = 'account' and not exists (
                    select from tieout.intent i where i.target = c.source and i.kind = 'write_back'
                    and i.source = c.source and i.source_object = c.source_object and i.source_id = c.source_id)
                order by c.crosswalk_id
                """
            ),
            {"link": services.link.name, "target": services.ledger.name},
        ).all()
    return [
        Fact(
            services.crm.name, row.source_object, row.source_id, row.source_id, row.vendor_id,
            {"account_id": row.source_id, "ledger_id": row.vendor_id, "ledger_number": row.vendor_number},
        )
        for row in rows
    ]  # fmt: skip


def _documents(services: Services) -> list[Fact]:
    """Orders (or deals) whose live invoice or refunds changed since the last write-back, or were never written."""
    mapping = services.crm.mappings[subject_of(services).entity]
    table = services.ledger.mappings["invoice"].staged_entity().table
    refunded = refunds(services, mapping.object)
    with services.engine.connect() as conn:
        join_whole_tables(conn)
        rows = conn.execute(
            text(
                f"""
                with live as (
                    select distinct on (source_id) source_id, vendor_id from tieout.intent
                    where link = :link and target = :ledger and source = :crm and source_object = :object
                      and kind = 'invoice' and state = 'CONFIRMED' order by source_id, revision desc),
                written as (
                    select distinct on (source_id) source_id, frozen ->> 'vendor_id' as vendor_id,
                      coalesce(frozen ->> 'refunds', '') as refunds from tieout.intent
                    where link = :link and target = :crm and source = :crm and source_object = :object
                      and kind = 'write_back' and state <> 'CANCELLED' order by source_id, revision desc),
                refunded as (select key as source_id, value as refunds from jsonb_each_text(cast(:refunds as jsonb)))
                select live.source_id, live.vendor_id from live
                join staging.{table} s on s._connection = :ledger and s._source_id = live.vendor_id
                left join written using (source_id)
                left join refunded using (source_id)
                where s._version > :after or written.vendor_id is distinct from live.vendor_id
                   or written.refunds is distinct from coalesce(refunded.refunds, '')
                order by 1
                """  # noqa: S608 - the table's name comes from StagedEntity
            ),
            {
                "link": services.link.name, "ledger": services.ledger.name, "crm": services.crm.name,
                "object": mapping.object, "after": _after(services),
                "refunds": json.dumps({source_id: each.fingerprint for source_id, each in refunded.items()}),
            },
        ).all()  # fmt: skip
    facts = []
    for chunk in chunks(rows):
        invoices = _invoices(services, [row.vendor_id for row in chunk])
        for row in chunk:
            invoice = invoices.get(row.vendor_id)
            if invoice is not None:
                back = refunded.get(row.source_id, Refunds(()))
                common = {"order_id": row.source_id, "currency": invoice["currency"], **_shown(invoice)}
                facts.append(
                    Fact(
                        services.crm.name, mapping.object, row.source_id, row.source_id, row.vendor_id,
                        {**common, **back.shown(invoice["currency"])}, {"refunds": back.fingerprint},
                    )
                )  # fmt: skip
    return facts


def _raised_by_hand(services: Services) -> list[Fact]:
    """Sales invoices that finance raised in the ledger for customers that the CRM knows; none where it has no place."""
    if "ledger_invoice" not in services.crm.mappings:
        return []
    mapping = services.ledger.mappings["invoice"]
    table = mapping.staged_entity().table
    customer, number = (mapping.read[name].source[0] for name in ("customer_id", "number"))
    of_sales = mapping.is_sql("kind", "invoice", table="s")
    with services.engine.connect() as conn:
        join_whole_tables(conn)
        rows = conn.execute(
            text(
                f"""
                with ours as materialized (
                    select vendor_id, natural_key from tieout.intent where target = :ledger
                      and kind in ('invoice', 'write_off')
                      and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN', 'CONFIRMED'))
                select s._source_id as invoice_id, c.source_id as account_id from staging.{table} s
                join tieout.crosswalk c on c.link = :link and c.target = :ledger and c.entity = 'account'
                    and c.vendor_id = s.{customer}
                left join tieout.intent shown on shown.target = :crm and shown.kind = 'write_back'
                    and shown.source = :ledger and shown.source_object = :object and shown.source_id = s._source_id
                    and shown.revision = 1
                where s._connection = :ledger and {of_sales} and not s._deleted
                  and (s._version > :after or shown.intent_id is null)
                  and not exists (select from ours where ours.vendor_id = s._source_id)
                  and not exists (select from ours where ours.natural_key = s.{number})
                order by 1
                """  # noqa: S608 - names come from the mapping
            ),
            {
                "link": services.link.name, "ledger": services.ledger.name, "crm": services.crm.name,
                "object": mapping.object, "after": _after(services),
            },
        ).all()  # fmt: skip
    facts = []
    for chunk in chunks(rows):
        invoices = _invoices(services, [row.invoice_id for row in chunk])
        facts += [
            Fact(
                services.ledger.name, mapping.object, row.invoice_id, row.invoice_id, row.invoice_id,
                {**invoices[row.invoice_id], "account_id": row.account_id},
            )
            for row in chunk if row.invoice_id in invoices
        ]  # fmt: skip
    return facts


def _invoices(services: Services, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found, _ = common_rows(services, services.ledger, "invoice", ids=ids)
    return {row["invoice_id"]: row for row in found}


def _shown(invoice: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoice_id": invoice["invoice_id"], "invoice_number": invoice["number"], "invoice_status": invoice["status"],
        "invoice_total_minor": invoice["total_minor"], "invoice_due_minor": invoice["due_minor"],
        "invoice_paid_minor": invoice["paid_minor"], "invoice_paid_on": invoice["paid_on"],
    }  # fmt: skip


def _plan(services: Services, entity: str, facts: Sequence[Fact], run_id: UUID) -> int:
    planned = 0
    for chunk in chunks(facts):
        planned += plan_facts(services, entity, chunk, run_id)
    return planned


def plan_facts(services: Services, entity: str, facts: Sequence[Fact], run_id: UUID, *, again: bool = False) -> int:
    """Adds an intent for each fact that differs from what was written last.

    Args:
        entity: of the CRM's mapping whose `write` makes the body.
        again: write it even when the same was written before: the CRM's record was changed since.
    """
    if not facts:
        return 0
    rows = [{**fact.common, "_key": fact.source_id, "_source_id": fact.source_id} for fact in facts]
    mapping = services.crm.mappings[entity]
    native, rejections, _ = native_frame(services, services.crm, entity, rows)
    if rejections:
        # Our own facts in our own fields: a refusal is a fault of the mapping, never of a record.
        raise ValueError(f"{entity} {rejections[0].source_id}: {rejections[0].message}")
    made = dict(
        zip(native["_key"].tolist(), bodies(native, None, None, "_key", mapping.sent_nulls).tolist(), strict=True)
    )
    last = _last(services, facts)
    new = []
    for fact in facts:
        revision, body = last.get((fact.source_object, fact.source_id), (0, None))
        if body == made[fact.source_id] and not again:
            continue
        new.append(_intent(services, entity, fact, revision + 1, made[fact.source_id]))
    with services.engine.begin() as conn:
        return len(intents.add(conn, new, run_id, services.actor).new)


def _last(services: Services, facts: Sequence[Fact]) -> dict[tuple[str, str], tuple[int, bytes]]:
    """(object, id) -> revision and body of the last write-back, whatever became of it."""
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select distinct on (source_object, source_id) source_object, source_id, revision, body, state "
                "from tieout.intent where target = :crm and kind = 'write_back' and source = any(:sources) "
                "and source_id = any(:ids) order by source_object, source_id, revision desc"
            ),
            {
                "crm": services.crm.name, "sources": sorted({fact.source for fact in facts}),
                "ids": [fact.source_id for fact in facts],
            },
        )  # fmt: skip
        return {(row.source_object, row.source_id): (row.revision, bytes(row.body)) for row in rows}


def _intent(services: Services, entity: str, fact: Fact, revision: int, body: bytes) -> NewIntent:
    link, operation = services.link, OPERATIONS[entity]
    uid = doc_uid(link.name, fact.source, fact.source_object, fact.source_id, KIND, revision)
    return NewIntent(
        link=link.name, target=link.crm, doc_uid=uid, kind=KIND, operation=operation, revision=revision,
        source=fact.source, source_object=fact.source_object, source_id=fact.source_id, natural_key=fact.natural_key,
        source_system=services.crm.system if fact.source == link.crm else services.ledger.system,
        source_entity=entity if fact.source == link.crm else "invoice",
        idempotency_key=idempotency_key(uid, link.crm, operation), body=body, entity=entity,
        frozen={"vendor_id": fact.vendor_id, "mapping": services.mapping_hash, **fact.derived_from},
        owner=link.owners.get("write_back", "sales operations"),
    )  # fmt: skip
