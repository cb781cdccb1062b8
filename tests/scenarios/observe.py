"""What is there at the end of a scenario, read by the vendors' APIs, and how it differs from expect.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from tests.scenarios.format import Expect, ExpectedInvoice, HandInCrm
from tests.scenarios.observe_products import product_differences
from tests.scenarios.same import same as _same
from tests.scenarios.world import World

SHOWN = {
    "number": "Tieout_Invoice_Number__c", "status": "Tieout_Invoice_Status__c", "total": "Tieout_Invoice_Total__c",
    "due": "Tieout_Amount_Due__c", "paid": "Tieout_Amount_Paid__c", "paid_on": "Tieout_Paid_On__c",
    "refunded": "Tieout_Refunded__c", "refunded_on": "Tieout_Refunded_On__c", "message": "Tieout_Message__c",
    "tax_id": "Tax_Id__c", "ledger_number": "Tieout_Ledger_Number__c",
    "credit_limit": "Tieout_Credit_Limit__c", "open_balance": "Tieout_Open_Balance__c",
    "overdue": "Tieout_Overdue_Amount__c", "available": "Tieout_Available_Credit__c",
    "credit_number": "Tieout_Credit_Number__c", "credit_status": "Tieout_Credit_Status__c",
    "credit_total": "Tieout_Credit_Total__c", "credit_open": "Tieout_Credit_Open__c",
    "price_outdated": "Tieout_Price_Outdated__c", "price_message": "Tieout_Price_Message__c",
    "credit_currency": "Tieout_Credit_Currency__c", "credit_rates": "Tieout_Credit_Rates__c",
}  # fmt: skip
Document = Mapping[str, Any]


def differences(world: World, expect: Expect) -> list[str]:
    """Everything that is not as expected, in sentences; empty when all is well."""
    return [
        *_documents(world, expect),
        *_posting_dates(world),
        *_held(world, expect),
        *_crm(world, expect),
        *_by_hand(world, expect.ledger_invoices_in_crm),
        *_contacts(world, expect),
        *product_differences(world, expect),
    ]


def documents(world: World) -> list[Document]:
    """Invoices that Tieout posted, credit notes set against them, naming them or of a return of them, in the words of
    expect.yaml."""
    names = {id_: key.split(":", 1)[1] for key, id_ in world.ids.items() if key.startswith(("order:", "deal:"))}
    found, of_invoice, of_number = [], {}, {}
    for invoice in world.hand.all("Invoices"):
        name = names.get((invoice.get("Url") or "").rsplit("/", 1)[-1])
        if name is not None:
            of_invoice[invoice["InvoiceID"]] = of_number[invoice["InvoiceNumber"]] = name
            found.append(_document(world.hand.one("Invoices", invoice["InvoiceID"]), name, "invoice"))
    of_return = _notes_of_returns(world, names)
    for note in world.hand.all("CreditNotes"):
        owners = [of_invoice.get(one["Invoice"]["InvoiceID"]) for one in note.get("Allocations") or ()]
        owners += [of_number.get(note.get("Reference"))]
        if not any(owners):
            owners = [of_return.get(note["CreditNoteID"])]
        found += [_document(note, name, "credit note") for name in owners if name is not None]
    return found


def _notes_of_returns(world: World, names: Mapping[str, str]) -> dict[str, str]:
    """Credit note's id -> the order of the return that shows it."""
    if not any(key.startswith("return:") for key in world.ids):
        return {}
    rows = world.crm.rows("ReturnOrder", ("OrderId", "Tieout_Credit_Id__c"))
    return {row["Tieout_Credit_Id__c"]: names[row["OrderId"]] for row in rows if row["Tieout_Credit_Id__c"]}


def _document(raw: Mapping[str, Any], of: str, kind: str) -> Document:
    return {
        "of": of, "kind": kind, "status": raw["Status"], "to": raw["Contact"]["Name"],
        "number": raw.get("InvoiceNumber") or raw.get("CreditNoteNumber"), "date": _day(raw),
        "currency": raw["CurrencyCode"], "rate": raw.get("CurrencyRate"), "reference": raw.get("Reference"),
        "net": raw["SubTotal"], "tax": raw["TotalTax"],
        "total": raw["Total"], "due": raw.get("AmountDue", raw.get("RemainingCredit")),
        "refunded": sum((one["Amount"] for one in raw.get("Payments") or ()), Decimal(0)),
        "lines": [
            {"product": line.get("ItemCode"), "quantity": line["Quantity"], "net": line["LineAmount"],
             "tax_type": line["TaxType"]}
            for line in raw.get("LineItems") or ()
        ],
    }  # fmt: skip


def _documents(world: World, expect: Expect) -> Iterator[str]:
    left = documents(world)
    for wanted in expect.documents:
        candidates = [one for one in left if (one["of"], one["kind"]) == (wanted.of, wanted.kind)]
        if not candidates:
            yield f"{wanted.of}: no {wanted.kind} {wanted.status}"
            continue
        best = min(candidates, key=lambda one: len(list(_unlike(wanted, one))))
        left.remove(best)
        yield from _unlike(wanted, best)
    for one in left:
        yield f"{one['of']}: {one['kind']} {one['number']} {one['status']} of {one['total']} was not expected"


def _posting_dates(world: World) -> Iterator[str]:
    """Every write into the ledger is kept with the date that its document has there."""
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select kind, natural_key, posting_date, convert_from(body, 'UTF8')::jsonb as body from tieout.intent "
                "where target = :ledger"
            ),
            {"ledger": world.link.ledger},
        ).all()
    for row in rows:
        day = row.body.get("Date")
        if row.body.get("Status") == "VOIDED":
            day = _day(world.hand.one("Invoices", row.body["InvoiceID"])).isoformat()
        if day != (row.posting_date and row.posting_date.isoformat()):
            yield f"{row.kind} {row.natural_key}: kept with {row.posting_date}, dated {day}"


def _unlike(wanted: ExpectedInvoice, found: Document) -> Iterator[str]:
    for name in wanted.model_fields_set - {"of", "kind", "lines"}:
        if not _same(getattr(wanted, name), found[name]):
            yield f"{wanted.of}: {wanted.kind}'s {name}: expected {getattr(wanted, name)}, found {found[name]}"
    if "lines" not in wanted.model_fields_set:
        return
    if len(wanted.lines) != len(found["lines"]):
        yield f"{wanted.of}: expected {len(wanted.lines)} lines, found {len(found['lines'])}"
        return
    for number, (line, there) in enumerate(zip(wanted.lines, found["lines"], strict=True), start=1):
        for name in line.model_fields_set:
            if not _same(getattr(line, name), there[name]):
                yield f"{wanted.of}: line {number}'s {name}: expected {getattr(line, name)}, found {there[name]}"


def _held(world: World, expect: Expect) -> Iterator[str]:
    kinds = ("order:", "deal:", "account:", "return:")
    names = {id_: key.split(":", 1)[1] for key, id_ in world.ids.items() if key.startswith(kinds)}
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select object, source_id, source_number, outcome, reason from tieout.document "
                "where outcome in ('held', 'quarantined')"
            )
        ).all()
    # An item is named by its code.
    found = {
        row.source_number if row.object == "product" else names[row.source_id]: (row.outcome, row.reason)
        for row in rows
    }
    for wanted in expect.held:
        there = found.pop(wanted.of, None)
        if there is None or there[0] != wanted.outcome or wanted.reason not in ("any", there[1]):
            yield f"{wanted.of}: expected {wanted.outcome} for {wanted.reason}, found {there}"
    for name, (outcome, reason) in found.items():
        yield f"{name}: {outcome} for {reason} was not expected"


def _crm(world: World, expect: Expect) -> Iterator[str]:
    for wanted in expect.crm:
        key, name = f"order:{wanted.of}", "Order"
        if f"account:{wanted.of}" in world.ids:
            key, name = f"account:{wanted.of}", "Account"
        elif f"return:{wanted.of}" in world.ids:
            key, name = f"return:{wanted.of}", "ReturnOrder"
        elif f"offer:{wanted.of}" in world.ids:
            key, name = f"offer:{wanted.of}", "Quote"
        elif key not in world.ids:
            key, name = f"deal:{wanted.of}", "Opportunity"
        fields = [SHOWN[short] for short in wanted.shows]
        row = next(row for row in world.crm.rows(name, fields) if row["Id"] == world.ids[key])
        for short, value in wanted.shows.items():
            if not _same(value, row[SHOWN[short]]):
                yield f"{wanted.of}: the CRM's {short}: expected {value}, found {row[SHOWN[short]]}"


def _by_hand(world: World, wanted: tuple[HandInCrm, ...]) -> Iterator[str]:
    if not wanted:
        return
    accounts = {id_: key.split(":", 1)[1] for key, id_ in world.ids.items() if key.startswith("account:")}
    fields = ["Number__c", "Account__c", "Status__c", "Total__c", "Amount_Due__c"]
    rows = {row["Number__c"]: row for row in world.crm.rows("Ledger_Invoice__c", fields)}
    for one in wanted:
        row = rows.pop(one.number, None)
        if row is None:
            yield f"{one.number}: not in the CRM"
            continue
        there = {"account": accounts.get(str(row["Account__c"])), "status": row["Status__c"], "total": row["Total__c"],
                 "due": row["Amount_Due__c"]}  # fmt: skip
        for name in one.model_fields_set - {"number"}:
            if not _same(getattr(one, name), there[name]):
                yield f"{one.number} in the CRM: {name}: expected {getattr(one, name)}, found {there[name]}"
    for number in rows:
        yield f"{number}: in the CRM as raised by hand, not expected"


def _contacts(world: World, expect: Expect) -> Iterator[str]:
    contacts = {one["Name"]: one for one in world.hand.all("Contacts")}
    if expect.contact_count is not None and len(contacts) != expect.contact_count:
        yield f"expected {expect.contact_count} customers in the ledger, found {len(contacts)}: {', '.join(contacts)}"
    for wanted in expect.contacts:
        if wanted.name not in contacts:
            yield f"no customer {wanted.name!r}; there are {', '.join(contacts)}"
            continue
        there = world.hand.one("Contacts", contacts[wanted.name]["ContactID"])
        for name, value in wanted.shows.items():
            if not _same(value, there.get(name)):
                yield f"customer {wanted.name}: {name}: expected {value}, found {there.get(name)}"


def _day(raw: Mapping[str, Any]) -> date:
    return date.fromisoformat(str(raw["DateString"])[:10])
