"""What finance paid back on the credit notes of an order or deal, as the CRM is to show it.

A credit note belongs to the record whose invoice it is set against, or whose invoice's number stands in its reference
(a credit note on an invoice that is paid cannot be set against it), or for which Tieout raised it. One that belongs to
several records is not divided by guess: its number goes into the message instead. Read-only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from tieout.model.standing import VOID
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import common_rows
from tieout.scenarios.services import Services

#: `payment.kind` of money that goes back.
REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Refund:
    """What was refunded of one credit note. `amount_minor` in minor units of `currency`; `on`: the last payment's."""

    number: str
    currency: str
    amount_minor: int
    on: date | None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Refunds:
    """All refunds of one record of the CRM, by credit note."""

    notes: tuple[Refund, ...]

    @property
    def fingerprint(self) -> str:
        """The same text as long as the CRM is to show the same."""
        return ";".join(sorted(f"{n.number} {n.currency} {n.amount_minor} {n.on} {n.shared}" for n in self.notes))

    def shown(self, currency: str) -> dict[str, Any]:
        """The write-back fields, in the currency of the record's invoice; what does not fit is named in `message`."""
        fits = [note for note in self.notes if note.currency == currency and not note.shared]
        aside = sorted(note.number for note in self.notes if note not in fits)
        return {
            "refunded_minor": sum(note.amount_minor for note in fits) if fits else None,
            "refunded_on": max((note.on for note in fits if note.on is not None), default=None),
            "message": f"Also refunded, see the ledger: credit note {', '.join(aside)}" if aside else None,
        }


def refunds(services: Services, object_: str) -> dict[str, Refunds]:
    """Source id -> its refunds, for the records of the link that have any.

    Args:
        object_: the CRM's object that is billed, such as `Order`.
    """
    paid = _paid_back(services)
    if not paid:
        return {}
    notes, _ = common_rows(services, services.ledger, "credit_memo", ids=paid)
    records = _records_of(services, object_, notes)
    found: dict[str, list[Refund]] = defaultdict(list)
    for note in notes:
        owners = records.get(note["credit_memo_id"], set())
        payments = paid[note["credit_memo_id"]]
        days = [payment["date"] for payment in payments if payment["date"] is not None]
        for owner in owners:
            found[owner].append(
                Refund(
                    number=note["number"] or note["credit_memo_id"],
                    currency=note["currency"],
                    amount_minor=sum(payment["amount_minor"] for payment in payments),
                    on=max(days, default=None),
                    shared=len(owners) > 1,
                )
            )
    return {source_id: Refunds(tuple(each)) for source_id, each in found.items()}


def _paid_back(services: Services) -> dict[str, list[Row]]:
    """Credit note's id -> the payments that refunded it and still stand.

    Some lists of payments name the credit note where they name an invoice otherwise, so both places are looked at.
    """
    mapping, notes = services.ledger.mappings["payment"], services.ledger.mappings["credit_memo"]
    if "credit_memo_id" not in mapping.read:
        return {}  # no payment of this ledger pays a credit back
    note, invoice = (mapping.ids_sql(name) for name in ("credit_memo_id", "invoice_id"))
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"""
                select p._source_id, n._source_id as note from (
                    select _connection, _source_id, unnest({note} || {invoice}) as named
                    from staging.{mapping.staged_entity().table} where _connection = :connection and not _deleted) p
                join staging.{notes.staged_entity().table} n
                    on n._connection = p._connection and n._source_id = p.named and not n._deleted
                """  # noqa: S608 - names of the mappings
            ),
            {"connection": services.ledger.name},
        ).all()
    found: dict[str, list[Row]] = defaultdict(list)
    known = {row.note for row in rows}
    if rows:
        payments, _ = common_rows(services, services.ledger, "payment", ids={row._source_id for row in rows})
        for payment in payments:
            id_ = payment["credit_memo_id"] or payment["invoice_id"]
            stands = payment["standing"] != VOID and payment["amount_minor"] is not None
            if payment["kind"] == REFUND and stands and id_ in known:
                found[id_].append(payment)
    return found


def _records_of(services: Services, object_: str, notes: Sequence[Row]) -> dict[str, set[str]]:
    """Credit note's id -> the source ids that it belongs to."""
    against = {note["credit_memo_id"]: _lines(note["invoice_ids"]) for note in notes}
    ours = _by_vendor_id(services, object_, {*against, *(id_ for ids in against.values() for id_ in ids)})
    named = _by_number(services, object_, {note["reference"] for note in notes if note["reference"]})
    owners: dict[str, set[str]] = {}
    for note in notes:
        id_ = note["credit_memo_id"]
        owners[id_] = {ours[one] for one in (id_, *against[id_]) if one in ours}
        number = named.get((note["reference"], note["customer_id"]))
        if number is not None and not owners[id_]:
            owners[id_] = {number}
    return owners


def _by_vendor_id(services: Services, object_: str, ids: Iterable[str]) -> dict[str, str]:
    """The ledger's id of an invoice or credit note that Tieout raised -> source id."""
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select vendor_id, source_id from tieout.crosswalk where target = :target and vendor_id = any(:ids) "
                "and link = :link and source = :crm and source_object = :object "
                "and entity in ('invoice', 'credit_memo')"
            ),
            {**_here(services, object_), "ids": list(ids)},
        )
        return {row.vendor_id: row.source_id for row in rows}


def _by_number(services: Services, object_: str, numbers: Iterable[str]) -> Mapping[tuple[str, str], str]:
    """(invoice's number, the ledger's customer) -> source id, of invoices that Tieout raised."""
    mapping = services.ledger.mappings["invoice"]
    customer = mapping.read["customer_id"].source[0]
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"select i.natural_key, s.{customer} as customer, i.source_id from tieout.intent i "  # noqa: S608
                f"join staging.{mapping.staged_entity().table} s "
                "on s._connection = i.target and s._source_id = i.vendor_id "
                "where i.target = :target and i.natural_key = any(:numbers) and i.kind = 'invoice' "
                "and i.state = 'CONFIRMED' and i.link = :link and i.source = :crm and i.source_object = :object"
            ),
            {**_here(services, object_), "numbers": list(numbers)},
        )
        return {(row.natural_key, row.customer): row.source_id for row in rows}


def _here(services: Services, object_: str) -> dict[str, str]:
    return {
        "target": services.ledger.name, "link": services.link.name, "crm": services.crm.name, "object": object_,
    }  # fmt: skip


def _lines(value: str | None) -> list[str]:
    return value.split("\n") if value else []
