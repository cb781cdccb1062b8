"""Fields that both systems hold: the master's value wins, the other side is overwritten, both values are logged.

Compared are the native fields as they would be sent, so that what a mapping cuts or spells otherwise is no difference.
An empty value of the master overwrites nothing: no vendor's field is emptied by omission.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.delivery import intents
from tieout.delivery.intents import NewIntent
from tieout.mapping.compile import compile_write
from tieout.mapping.payload import bodies
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.mapping.spec import masters
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.billing import Row
from tieout.scenarios.customer_book import KIND, with_people
from tieout.scenarios.frames import chunks, common_rows, frame_of, rows
from tieout.scenarios.services import Services, Side
from tieout.scenarios.successors import continued
from tieout.scenarios.write_back import Fact, plan_facts
from tieout.store import audit, documents
from tieout.store.documents import Judgement
from tieout.store.engine import join_whole_tables

ENTITY = "account"


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What one side is told about one customer: all the master's fields, because a list is replaced as a whole.

    `differing`: native field -> (the master's value, the value that is overwritten).
    """

    sent: Mapping[str, Any]
    differing: Mapping[str, tuple[Any, Any]]


def plan(services: Services, run_id: UUID) -> dict[str, int]:
    """Plans the overwrites for linked customers that changed on a side. Returns counts by overwritten side."""
    changed = _changed(services)
    counts = {"compared": len(changed), "ledger": 0, "crm": 0}
    for chunk in chunks(changed):
        ledger, crm = _plan_chunk(services, chunk, run_id)
        counts["ledger"] += ledger
        counts["crm"] += crm
    return counts


def _changed(services: Services) -> list[Any]:
    tables = [side.mappings[ENTITY].staged_entity().table for side in (services.crm, services.ledger)]
    with services.engine.connect() as conn:
        join_whole_tables(conn)
        return list(
            conn.execute(
                text(
                    f"""
                    with now as (select key, value from jsonb_each_text(cast(:continued as jsonb)))
                    select a._source_id as source_id, c.vendor_id, greatest(a._version, x._version) as version
                    from tieout.crosswalk c
                    left join now on now.key = c.source_id
                    join staging.{tables[0]} a
                      on a._connection = c.source and a._source_id = coalesce(now.value, c.source_id)
                    join staging.{tables[1]} x on x._connection = c.target and x._source_id = c.vendor_id
                    left join tieout.document d
                      on d.link = c.link and d.object = 'account' and d.source_id = a._source_id
                    where c.link = :link and c.target = :ledger and c.source = :crm and c.entity = 'account'
                      and not a._deleted and not x._deleted
                      and (d.source_id is null or greatest(a._version, x._version) > d.seen_version)
                    order by 1
                    """  # noqa: S608 - the tables' names come from StagedEntity
                ),
                {
                    "link": services.link.name, "ledger": services.ledger.name, "crm": services.crm.name,
                    "continued": json.dumps(continued(services)),
                },
            )
        )  # fmt: skip


def _plan_chunk(services: Services, chunk: Sequence[Any], run_id: UUID) -> tuple[int, int]:
    accounts, _ = common_rows(services, services.crm, ENTITY, ids=[row.source_id for row in chunk])
    mine = {str(row["account_id"]): row for row in with_people(services, accounts)}
    theirs = {
        row["account_id"]: row
        for row in common_rows(services, services.ledger, ENTITY, ids=[r.vendor_id for r in chunk])[0]
    }
    pairs = [
        (mine[row.source_id], theirs[row.vendor_id])
        for row in chunk
        if row.source_id in mine and row.vendor_id in theirs
    ]
    by_master = masters(services.crm.mappings[ENTITY], services.ledger.mappings[ENTITY])
    to_ledger = _overwrites(services, services.ledger, "crm", by_master, pairs)
    to_crm = _overwrites(services, services.crm, "finance", by_master, [(b, a) for a, b in pairs])
    revisions = _revisions(services, [row.source_id for row in chunk])
    updates = [_update(services, key, made, revisions.get(key, 1) + 1) for key, made in to_ledger.items()]
    facts = [_fact(services, key, theirs_of) for key, theirs_of in _finance_rows(pairs, to_crm).items()]
    judgements = [
        Judgement(row.source_id, (mine.get(row.source_id) or {}).get("number"), "posted", row.version) for row in chunk
    ]
    # Before the judgement: when this is cut off between the two, the customers are compared again and the CRM is told
    # the same once more; the other way round it would not be told.
    told = plan_facts(services, ENTITY, facts, run_id, again=True)
    with services.engine.begin() as conn:
        added = intents.add(conn, updates, run_id, services.actor)
        audit.append(conn, f"link:{services.link.name}", _events(services, to_ledger, to_crm, run_id))
        documents.upsert(conn, services.link.name, ENTITY, judgements, run_id)
    return len(added.new), told


def _overwrites(
    services: Services, side: Side, master: str, by_master: Mapping[str, str], pairs: Sequence[tuple[Row, Row]]
) -> dict[str, Overwrite]:
    """CRM account id -> what `side` is told, for the pairs (master's row, the other row) that differ."""
    mapping = side.mappings[ENTITY]
    fields = _native_fields(mapping, {name for name, owner in by_master.items() if owner == master})
    # The customer code: filled in where finance has none of its own, never overwritten.
    code = _made_of(mapping, "crm_id") if side is services.ledger else None
    if code:
        fields.add(code)
    # Identifies the record in a body; sent, never compared.
    identity = _made_of(mapping, "ledger_id" if side is services.ledger else "account_id")
    fields |= {identity} if identity else set()
    wanted = _native(services, mapping, fields, [_as_master(services, side, m, t) for m, t in pairs])
    found = _native(services, _as_it_is(mapping), fields, [_as_master(services, side, t, t) for _, t in pairs])
    overwrites: dict[str, Overwrite] = {}
    for (a, b), want, have in zip(pairs, wanted, found, strict=True):
        account_id = a["account_id"] if side is services.ledger else b["account_id"]
        differing = {
            name: (want[name], have.get(name))
            for name in fields
            if want.get(name) is not None and want[name] != have.get(name) and not (name == code and have.get(name))
        }
        if differing:
            kept = {code} if code and have.get(code) else set()
            sent = {name: value for name, value in want.items() if value is not None and name not in kept}
            overwrites[account_id] = Overwrite({name: sent[name] for name in sent if name in fields}, differing)
    return overwrites


def _made_of(mapping: EntityMapping, field: str) -> str | None:
    """The native field that is written from this common one alone; None where there is none."""
    return next((name for name, spec in mapping.write.items() if spec.source == (field,)), None)


def _native_fields(mapping: EntityMapping, common: set[str]) -> set[str]:
    return {name for name, spec in mapping.write.items() if common.intersection(spec.source)}


def _as_it_is(mapping: EntityMapping) -> EntityMapping:
    """The mapping without refusals: what a system holds already is compared even where we would not send it so, such
    as a customer that finance made by hand, without our code."""
    write = {
        name: spec.model_copy(update={"when_null": "leave_out", "when_longer": "truncate" if spec.max_length else None})
        for name, spec in mapping.write.items()
    }
    return mapping.model_copy(update={"write": write})


def _as_master(services: Services, side: Side, values: Row, identity: Row) -> dict[str, Any]:
    """The row whose fields are written, under the identity that the written side knows."""
    if side is services.ledger:
        return {**values, "ledger_id": identity["account_id"], "_source_id": identity["account_id"]}
    return {**values, "account_id": identity["account_id"], "_source_id": identity["account_id"]}


def _native(
    services: Services, mapping: EntityMapping, fields: set[str], common: Sequence[Row]
) -> list[dict[str, Any]]:
    if not common:
        return []
    keyed = [{**row, "_key": str(number)} for number, row in enumerate(common)]
    made = compile_write(mapping, services.link, fields)(frame_of(keyed))
    by_key = {row["_key"]: row for row in rows(made.frame)}
    # Nothing is written over a record when one of the values could not be taken: its row is empty.
    return [by_key.get(str(number), {}) for number in range(len(common))]


def _revisions(services: Services, account_ids: Sequence[str]) -> dict[str, int]:
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                "select source_id, max(revision) as revision from tieout.intent "
                "where target = :ledger and source = :crm and kind = 'customer' "
                "and source_id = any(:ids) group by source_id"
            ),
            {"ledger": services.ledger.name, "crm": services.crm.name, "ids": list(account_ids)},
        )
        return {row.source_id: row.revision for row in found}


def _update(services: Services, account_id: str, overwrite: Overwrite, revision: int) -> NewIntent:
    link, operation = services.link, "contacts.update"
    mapping = services.crm.mappings[ENTITY]
    uid = doc_uid(link.name, link.crm, mapping.object, account_id, KIND, revision)
    body = bodies(frame_of([{**overwrite.sent, "_key": account_id}]), None, None, "_key").iloc[0]
    return NewIntent(
        link=link.name, target=link.ledger, doc_uid=uid, kind=KIND, operation=operation, revision=revision,
        source=link.crm, source_object=mapping.object, source_id=account_id, natural_key=account_id,
        source_system=services.crm.system, source_entity=ENTITY,
        idempotency_key=idempotency_key(uid, link.ledger, operation), body=body, entity=ENTITY,
        frozen={"mapping": services.mapping_hash}, owner=link.owners.get("customers", "finance"),
    )  # fmt: skip


def _finance_rows(pairs: Sequence[tuple[Row, Row]], to_crm: Mapping[str, Overwrite]) -> dict[str, Row]:
    return {mine["account_id"]: theirs for mine, theirs in pairs if mine["account_id"] in to_crm}


def _fact(services: Services, account_id: str, theirs: Row) -> Fact:
    common = {
        **theirs,
        "account_id": account_id,
        "ledger_id": theirs["account_id"],
        "ledger_number": theirs.get("number"),
    }
    mapping = services.crm.mappings[ENTITY]
    return Fact(services.crm.name, mapping.object, account_id, account_id, theirs["account_id"], common)


def _events(
    services: Services, to_ledger: Mapping[str, Overwrite], to_crm: Mapping[str, Overwrite], run_id: UUID
) -> list[audit.Event]:
    return [
        audit.Event(
            services.actor, "master.overwrote", f"account:{account_id}",
            {"side": side, "fields": {
                name: {"master": want, "overwritten": have} for name, (want, have) in overwrite.differing.items()
            }},
            run_id,
        )
        for side, overwrites in (("ledger", to_ledger), ("crm", to_crm))
        for account_id, overwrite in overwrites.items()
    ]  # fmt: skip
