"""What follows from a sweep: a proposal to void the doubles, dead letters, and closing those that are mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from tieout.delivery.intents import NewIntent
from tieout.model.errors import Rejection
from tieout.model.identity import doc_uid, idempotency_key
from tieout.model.standing import DRAFT, VOID
from tieout.scenarios.approval import frozen_intents
from tieout.scenarios.billing import Row, Rules, shut
from tieout.scenarios.frames import common_rows
from tieout.scenarios.making import void_body
from tieout.scenarios.plans import in_the_books
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.stamped import Verdict
from tieout.store import dead_letters, proposals
from tieout.store.proposals import Item

STAGE = "sweep"
#: The operation that takes a document of an entity out of the books.
VOIDS = {"invoice": "invoices.void", "credit_memo": "credit_notes.void", "payment": "payments.void"}


def propose(conn: Connection, services: Services, found: Sequence[tuple[str, Verdict]], run_id: UUID) -> int | None:
    doubles = [(entity, each) for entity, each in found if each.what == "duplicate"]
    ids = [each.row["_source_id"] for _, each in doubles]
    known = proposals.proposed_before(conn, services.ledger.name, ids, only_open=False)
    new = [(entity, each) for entity, each in doubles if each.row["_source_id"] not in known]
    if not new:
        return None
    rules = load_rules(services)
    items = [_item(services, entity, each, obstacle(entity, each.row, rules)) for entity, each in new]
    if all(item.action == "none" for item in items):
        return None  # there is nothing to approve; the dead letters say what to do
    reason = "the ledger has a document of ours more than once"
    made = proposals.New(
        "void_duplicate", services.link.name, services.ledger.name, reason, "tieout", True, run_id,
        items[: proposals.MOST_ITEMS],
    )  # fmt: skip
    return proposals.propose(conn, made)


def obstacle(entity: str, row: Row, rules: Rules) -> str | None:
    """Why a double cannot be voided by us."""
    if entity == "invoice" and (row["paid_minor"] or row["credited_minor"]):
        return "money or a credit was booked on it: finance moves that first"
    if entity == "credit_memo" and row["remaining_minor"] != row["total_minor"]:
        return "it is set against an invoice or refunded: finance takes that back first"
    closed = None if row["standing"] == DRAFT else shut(row["date"], rules)
    return None if closed is None else f"{closed.message}: finance credits it"


def _item(services: Services, entity: str, each: Verdict, why_not: str | None) -> Item:
    row, owned = each.row, each.owned
    mapping = services.ledger.mappings[entity]
    why = f"{each.keeps} stands for the same document and stays; this one is voided"
    return Item(
        entity=entity, vendor_id=row["_source_id"], vendor_number=row["number"],
        doc_uid=owned.doc_uid if owned else None, source_object=owned.source_object if owned else None,
        source_id=owned.source_id if owned else None, source_number=None, currency=row["currency"],
        amount_minor=row["total_minor"], action="none" if why_not else "void",
        reason="not_possible" if why_not else "duplicate", why=why_not or why,
        staged_in=mapping.staged_entity().table, ledger_version=row["_version"],
        intents=[] if why_not else frozen_intents([void_of(services, entity, each)]),
    )  # fmt: skip


def void_of(services: Services, entity: str, each: Verdict) -> NewIntent:
    """Its source is the ledger's own document: the record of the CRM has another that is in force."""
    link, row, mapping = services.link, each.row, services.ledger.mappings[entity]
    vendor_id, operation = row["_source_id"], VOIDS[entity]
    uid = doc_uid(link.name, link.ledger, mapping.object, vendor_id, "void", 1)
    return NewIntent(
        link=link.name, target=link.ledger, doc_uid=uid, kind="void", operation=operation, revision=1,
        source=link.ledger, source_object=mapping.object, source_id=vendor_id, source_system=services.ledger.system,
        source_entity=entity, natural_key=vendor_id, idempotency_key=idempotency_key(uid, link.ledger, operation),
        body=void_body(services, entity, vendor_id, row["standing"]), entity=entity, currency=row["currency"],
        amount_minor=row["amount_minor" if entity == "payment" else "total_minor"],
        frozen={"mapping": services.mapping_hash, "double_of": each.keeps},
        owner=link.owners.get("invoices", "finance"), posting_date=in_the_books(row),
    )  # fmt: skip


def alarm(conn: Connection, services: Services, found: Sequence[tuple[str, Verdict]], run_id: UUID) -> None:
    letters = [_letter(services, entity, each) for entity, each in found]
    dead_letters.record(
        conn, letters, connection=services.ledger.name, link=services.link.name, stage=STAGE, run_id=run_id,
        owner=services.link.owners.get("invoices", "finance"),
    )  # fmt: skip


def _letter(services: Services, entity: str, each: Verdict) -> Rejection:
    name = entity.replace("_", " ")
    number = each.row["number"] or each.row["_source_id"]
    words = {
        "duplicate": (f"{name} {number} is there twice: {each.keeps} is the one that counts",
                      "approve the proposal to void it: `tieout rollback list`, or void it in the ledger"),
        "orphan": (f"{name} {number} carries our stamp and nothing of ours made it",
                   "find out who copied it, or whether the store was restored; void it if nobody needs it"),
        "unaccounted": (f"{name} {number} is in force, and what was to make it was given up or refused",
                        "void it in the ledger, or leave it to finance and resolve this"),
    }[each.what]  # fmt: skip
    of = f" of {each.owned.source_object} {each.owned.source_id}" if each.owned else ""
    return Rejection(
        services.ledger.system, entity, each.row["_source_id"], f"{each.what}_in_ledger", words[0],
        f"one document{of} in the ledger", f"{each.row['_source_id']}, {each.row['status']}", words[1],
    )  # fmt: skip


def close_mended(conn: Connection, services: Services) -> None:
    """Alarms of documents that are not in force any more, or that the crosswalk names now."""
    which = dead_letters.Filter(
        link=services.link.name, connection=services.ledger.name, stage=STAGE, limit=5_000
    )  # fmt: skip
    by_entity: dict[str, set[str]] = defaultdict(set)
    for letter in dead_letters.listing(conn, which):
        by_entity[letter.entity].add(letter.source_id)
    for entity, ids in sorted(by_entity.items()):
        rows = common_rows(services, services.ledger, entity, ids=ids)[0]
        live = {row["_source_id"] for row in rows if row["standing"] != VOID}
        named = conn.execute(
            text(
                "select vendor_id from tieout.crosswalk where target = :target and vendor_id = any(:ids) "
                "and entity = :entity"
            ),
            {"target": services.ledger.name, "ids": sorted(live), "entity": entity},
        ).scalars()
        mended = sorted(ids - (live - set(named)))
        dead_letters.close_mended(
            conn, connection=services.ledger.name, link=services.link.name, entity=entity, stages=[STAGE],
            source_ids=mended, closed_by="not in force any more",
        )  # fmt: skip
