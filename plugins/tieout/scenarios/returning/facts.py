"""What is known of returns before they are judged: their invoices, what was taken of these, their own credit notes.

Only reading; the rules are in rules.py, what follows from them in planning.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tieout.model.money import apportion, to_minor
from tieout.model.standing import IN_THE_BOOKS, VOID
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.frames import common_rows, grouped
from tieout.scenarios.plans import Planned
from tieout.scenarios.quarantine import hold_of, parents_of
from tieout.scenarios.returning.rules import Billed, Sold, Taken, by_line
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import Subject, live_documents, quarantined
from tieout.scenarios.successors import are_one, successors
from tieout.store import documents
from tieout.store.documents import Judgement

SUBJECT = Subject("return_order", "return_order_line")
#: What returns are of. Deals are billed without order products, so nothing of theirs can be returned by one.
ORDERS = Subject("order", "order_line")
#: States of an intent of which nothing is in the ledger and nothing will be.
DEAD = ("CANCELLED", "REJECTED")


@dataclass(frozen=True)
class Chunk:
    """Everything that is known of some returns.

    Attributes:
        versions: return -> the highest staged version of it and its lines.
        stopped: return -> why it is in quarantine or cannot be read.
        live: return -> its latest credit note intent, with `note` (the ledger's row) and `follow`: the intents that
            settle the note (allocation, refund).
        billed: order -> its invoice, or why there is none.
        taken: invoice -> what returns took of it.
        takers: invoice -> the intents that `taken` counts, to see whether another run added one.
    """

    versions: Mapping[str, int]
    heads: Mapping[str, Row]
    lines: Mapping[str, Sequence[Row]]
    stopped: Mapping[str, Hold]
    previous: Mapping[str, Judgement]
    live: Mapping[str, Row]
    billed: Mapping[str, Billed | Hold]
    taken: Mapping[str, Taken]
    takers: Mapping[str, frozenset[str]]


def read_chunk(services: Services, versions: Mapping[str, int]) -> Chunk:
    """What is known of these returns."""
    ids = sorted(versions)
    heads, unreadable = common_rows(services, services.crm, SUBJECT.entity, ids=ids)
    lines, bad_lines = common_rows(services, services.crm, SUBJECT.lines, parents=ids)
    stopped = {item.source_id: hold_of(item) for item in unreadable}
    parents = parents_of(services, SUBJECT.lines, "parent_id", [item.source_id for item in bad_lines])
    for item in bad_lines:
        stopped.setdefault(parents.get(item.source_id, ""), hold_of(item))
    stopped |= quarantined(services, SUBJECT, ids)
    with services.engine.connect() as conn:
        previous = documents.latest(conn, services.link.name, SUBJECT.entity, ids)
        live = _live(conn, services, ids)
    billed = _billed(services, sorted({row["order_id"] for row in heads if row.get("order_id")}))
    merged = successors(services)
    for head in heads:
        order = billed.get(head.get("order_id") or "")
        if (
            head.get("account_id")
            and isinstance(order, Billed)
            and are_one(merged, head["account_id"], order.account_id)
        ):
            head["account_id"] = order.account_id  # as it was billed: whose it is did not change
    invoices = sorted(one.invoice_id for one in billed.values() if isinstance(one, Billed))
    with services.engine.connect() as conn:
        takers = _takers(conn, services, invoices)
    notes = _notes(services, [row["vendor_id"] for row in (*live.values(), *takers) if row["vendor_id"]])
    taken, ours = _taken(takers, notes)
    named = _named(services, [one for one in billed.values() if isinstance(one, Billed)])
    foreign = {
        key: replace(
            one, foreign_minor=max(0, one.foreign_minor - ours.get(one.invoice_id, 0)) + named.get(one.invoice_id, 0)
        )
        if isinstance(one, Billed) else one
        for key, one in billed.items()
    }  # fmt: skip
    return Chunk(
        versions, {row["_source_id"]: row for row in heads}, grouped(lines), stopped, previous,
        {key: {**row, "note": notes.get(row["vendor_id"])} for key, row in live.items()}, foreign, taken,
        taker_uids(takers),
    )  # fmt: skip


def _live(conn: Connection, services: Services, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = conn.execute(
        text(
            """
            select distinct on (i.source_id) i.source_id, i.doc_uid, i.revision, i.state, i.sends, i.vendor_id,
                i.reason, i.message, i.amount_minor, i.currency, i.frozen,
                (select coalesce(jsonb_agg(jsonb_build_object('kind', f.kind, 'operation', f.operation,
                        'doc_uid', f.doc_uid, 'state', f.state, 'sends', f.sends, 'reason', f.reason,
                        'message', f.message) order by f.intent_id), '[]')
                    from tieout.intent f where f.target = i.target and f.source = i.source
                    and f.source_object = i.source_object and f.source_id = i.source_id and f.revision = i.revision
                    and f.kind in ('allocation', 'refund') and f.link = i.link) as follow
            from tieout.intent i
            where i.link = :link and i.target = :target and i.source = :source and i.source_object = :object
              and i.kind = 'credit_memo' and i.source_id = any(:ids)
            order by i.source_id, i.revision desc
            """
        ),
        {**_of(services), "ids": list(ids)},
    ).mappings()
    return {row["source_id"]: dict(row) for row in rows}


def _of(services: Services) -> dict[str, Any]:
    return {
        "link": services.link.name, "target": services.ledger.name, "source": services.crm.name,
        "object": services.crm.mappings[SUBJECT.entity].object,
    }  # fmt: skip


# --- the invoice ------------------------------------------------------------------------------------------------------


def _billed(services: Services, order_ids: Sequence[str]) -> dict[str, Billed | Hold]:
    if not order_ids:
        return {}
    live = live_documents(services, ORDERS, order_ids)
    return {order: _of_order(live.get(order)) for order in order_ids}


def _of_order(planned: Planned | None) -> Billed | Hold:
    if planned is None or planned.intent["state"] in DEAD:
        return Hold(
            "invoice_unknown", "the order of the return has no invoice", "an order that was billed", "none",
            "bill the order first; an invoice by hand is credited by hand",
        )  # fmt: skip
    invoice = planned.invoice
    if planned.intent["state"] != "CONFIRMED" or invoice is None:
        return Hold(
            "invoice_under_way", "the invoice of the order is not known to be in the ledger", "an invoice",
            str(planned.intent["state"]), "nothing to do once the invoice is posted; otherwise see why it is not",
        )  # fmt: skip
    if invoice["standing"] == VOID or planned.intent["reversal"] not in (None, *DEAD):
        return Hold(
            "invoice_taken_back", f"invoice {invoice['number']} was voided or credited as a whole",
            "an invoice in force", str(invoice["status"]), "cancel the return: nothing is left to credit",
        )  # fmt: skip
    return _as_billed(planned, invoice)


def _as_billed(planned: Planned, invoice: Row) -> Billed | Hold:
    frozen, currency = planned.intent["frozen"], invoice["currency"]
    rows = frozen["bill"]["lines"]
    nets, taxes = (_amounts(invoice.get(name), currency) for name in ("line_nets", "line_taxes"))
    if nets and not taxes and invoice["tax_minor"] is not None:
        # A ledger that states the tax of the whole invoice alone: each line has its part.
        taxes = apportion(invoice["tax_minor"], [abs(net) for net in nets]) if any(nets) else [0] * len(nets)
    changed = nets != [row["net_minor"] for row in rows] or len(taxes) != len(rows)
    if changed or sum(nets) + sum(taxes) != invoice["total_minor"]:
        return Hold(
            "invoice_changed", f"finance has changed the lines of invoice {invoice['number']}", "the lines as posted",
            f"{len(nets)} lines, in all {invoice['total_minor']} in minor units", "credit the return by hand",
        )  # fmt: skip
    if invoice["standing"] not in IN_THE_BOOKS:
        return Hold(
            "invoice_not_approved", f"invoice {invoice['number']} is not approved yet", "an approved invoice",
            str(invoice["status"]), "approve the invoice in the ledger",
        )  # fmt: skip
    line_ids = frozen.get("line_ids") or [None] * len(rows)
    lines = tuple(
        Sold(
            line_id, row["product"], row["description"], Decimal(row["quantity"]), Decimal(row["price"]),
            row["account"], row["tax"], net, tax,
        )
        for line_id, row, net, tax in zip(line_ids, rows, nets, taxes, strict=True)
    )  # fmt: skip
    return Billed(
        invoice_id=invoice["invoice_id"], number=invoice["number"], account_id=frozen["bill"]["account"],
        customer_id=invoice["customer_id"], currency=currency, exchange_rate=invoice["exchange_rate"],
        total_minor=invoice["total_minor"], due_minor=invoice["due_minor"] or 0, lines=lines,
        # Less what is ours; read_chunk takes it off.
        foreign_minor=invoice["credited_minor"] or 0,
    )  # fmt: skip


def _amounts(column: str | None, currency: str) -> list[int]:
    return [to_minor(Decimal(value or "0"), currency) for value in (column or "").split("\n")] if column else []


# --- what was taken ---------------------------------------------------------------------------------------------------


def _takers(conn: Connection, services: Services, invoices: Collection[str]) -> list[dict[str, Any]]:
    rows = conn.execute(
        text(
            """
            select doc_uid, source_id, state, vendor_id, frozen -> 'return' as returned from tieout.intent
            where link = :link and target = :target and source = :source and source_object = :object
              and kind = 'credit_memo' and state <> all(:dead) and frozen -> 'return' ->> 'invoice' = any(:invoices)
            order by intent_id
            """
        ),
        {**_of(services), "invoices": list(invoices), "dead": list(DEAD)},
    ).mappings()
    return [dict(row) for row in rows]


def taker_uids(takers: Sequence[Row]) -> dict[str, frozenset[str]]:
    """Invoice -> the intents of returns that credit it."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in takers:
        found[row["returned"]["invoice"]].add(row["doc_uid"])
    return {invoice: frozenset(uids) for invoice, uids in found.items()}


def takers_now(conn: Connection, services: Services, invoices: Collection[str]) -> dict[str, frozenset[str]]:
    """As Chunk.takers, at this moment."""
    return taker_uids(_takers(conn, services, invoices))


def _notes(services: Services, ids: Sequence[str]) -> dict[str, Row]:
    found = common_rows(services, services.ledger, "credit_memo", ids=set(ids))[0] if ids else []
    return {row["credit_memo_id"]: row for row in found}


def _taken(takers: Sequence[Row], notes: Mapping[str, Row]) -> tuple[dict[str, Taken], dict[str, int]]:
    """What returns took of each invoice, and what of their notes is set against it; notes that were voided are not."""
    taken: dict[str, Taken] = defaultdict(Taken)
    ours: dict[str, int] = defaultdict(int)
    for row in takers:
        returned, note = row["returned"], notes.get(row["vendor_id"])
        invoice = returned["invoice"]
        if note is not None and note["standing"] == VOID:
            continue
        allocated = 0 if note is None else allocated_to(note, invoice)
        taken[invoice].parts += by_line(returned["parts"])
        taken[invoice].total_minor += returned["total_minor"]
        taken[invoice].to_come_minor += max(0, returned["allocate_minor"] - allocated)
        ours[invoice] += allocated
    return dict(taken), dict(ours)


def _named(services: Services, billed: Sequence[Billed]) -> dict[str, int]:
    """Invoice -> what finance credited naming its number without setting it against it, as on a paid invoice."""
    mapping = services.ledger.mappings["credit_memo"]
    by_key = {(one.number, one.customer_id): one.invoice_id for one in billed}
    with services.engine.connect() as conn:
        ids = conn.execute(
            text(
                f"select _source_id from staging.{mapping.staged_entity().table} "  # noqa: S608 - StagedEntity
                f"where _connection = :connection and not _deleted and {mapping.read['reference'].source[0]} = any(:of)"
            ),
            {"connection": services.ledger.name, "of": sorted({number for number, _ in by_key})},
        ).scalars()
        named = list(ids)
    found: dict[str, int] = defaultdict(int)
    for note in _notes(services, named).values():
        invoice = by_key.get((note["reference"], note["customer_id"]))
        if invoice is not None and note["standing"] != VOID:
            found[invoice] += note["total_minor"] - allocated_to(note, invoice)
    return dict(found)


def allocated_to(note: Row, invoice: str) -> int:
    """How much of a credit note is set against an invoice, in minor units."""
    to = (note.get("allocated_to") or "").split("\n")
    amounts = _amounts(note.get("allocated_amounts"), note["currency"])
    return sum(amount for other, amount in zip(to, amounts, strict=False) if other == invoice)
