"""What only one of the two has, against the sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.connectors.vendor_salesforce import Salesforce
from tests.connectors.vendor_xero import Xero
from tests.connectors.vendors import LONG_AGO
from tests.connectors.wires import Time, entity, item
from tests.support.crm_ledger import ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Answer, Request
from tieout.connectors.outside import Outside
from tieout.connectors.requirements import FieldNeed, Required
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.wire import Clock
from tieout.connectors.xero.connector import XeroConnector
from tieout.model.connection import Connection
from tieout.model.errors import PermissionDenied
from tieout.scenarios.ledger_hand import LedgerHand

pytestmark = pytest.mark.slow
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def crm_side(sandbox: SandboxProcess) -> Salesforce:
    return Salesforce(sandbox, Time())


@pytest.fixture
def crm(crm_side: Salesforce) -> Iterator[SalesforceConnector]:
    connector = crm_side.connector()
    assert isinstance(connector, SalesforceConnector)
    yield connector
    connector.close()


@pytest.fixture
def books_side(sandbox: SandboxProcess) -> Xero:
    return Xero(sandbox, Time())


@pytest.fixture
def books(books_side: Xero) -> Iterator[XeroConnector]:
    connector = books_side.connector()
    assert isinstance(connector, XeroConnector)
    yield connector
    connector.close()


def do(connector: SalesforceConnector | XeroConnector, *requests: Request) -> list[Answer]:
    return list(connector.send(connector.operation(requests[0].operation), requests))


# ---- Salesforce


@pytest.mark.proves("a Bulk job gives the records that pages give", scenario="connector", systems=("salesforce",))
def test_a_job_gives_the_records_that_pages_give(crm_side: Salesforce, crm: SalesforceConnector) -> None:
    crm_side.put(crm_side.spread(40), Decimal("1234567890123456.78"), 'Ünï, "x"\nline')
    crm.insert("Contact", [{"LastName": "Ro,e", "AccountId": next(crm.query("SELECT Id FROM Account"))["Id"]}])
    contacts = entity(
        "salesforce",
        "Contact",
        "Id",
        "SystemModstamp",
        contact_id=("Id", "text"),
        account=("Account.Name", "text"),
        revenue=("Account.AnnualRevenue", "decimal"),
        email=("Email", "text"),
    )
    jobs = crm_side.connector(bulk_from="1")
    for one in (crm_side.entity, contacts):
        by_pages = [_plain(r) for page in crm.changed(one, None, FAR) for r in page.records]
        by_job = [_plain(r) for page in jobs.changed(one, None, FAR) for r in page.records]
        assert by_job == by_pages and by_job
    jobs.close()


def _plain(record: Any) -> Any:
    # The two APIs spell an instant's zone in two ways; everything else is the same but for `attributes`.
    if isinstance(record, dict):
        return {k: _plain(v) for k, v in record.items() if k != "attributes"}
    return record.replace("+0000", "Z") if isinstance(record, str) else record


@pytest.mark.parametrize("bulk_from", [1, 10_000])
def test_records_are_brought_in_changed_and_refused_one_by_one(crm: SalesforceConnector, bulk_from: int) -> None:
    records: list[dict[str, Any]] = [
        {"Name": "Ünï 🍵", "AnnualRevenue": Decimal("10.50"), "Tax_Id__c": "T-1", "Tieout_Ledger_Id__c": "L-1"},
        {"Name": "x" * 300, "AnnualRevenue": None, "Tax_Id__c": "T-2", "Tieout_Ledger_Id__c": "L-2"},
    ]
    good, bad = crm.insert("Account", records, bulk_from)
    assert good.success and good.created and good.id and len(good.id) == 18
    assert not bad.success and bad.id is None and bad.errors[0][0] == "STRING_TOO_LONG" and bad.error
    (again,) = crm.upsert("Account", "Tieout_Ledger_Id__c", [{**records[0], "Name": "New"}], bulk_from)
    assert (again.id, again.created) == (good.id, False)
    (changed,) = crm.update("Account", [{"Id": good.id, "Name": "Newer"}], bulk_from)
    assert changed.success
    assert [r["Name"] for r in crm.query("SELECT Name FROM Account")] == ["Newer"]


def test_what_was_deleted_is_told_with_ids_of_18(crm_side: Salesforce, crm: SalesforceConnector) -> None:
    (saved,) = crm.insert("Account", [{"Name": "gone"}])
    token = httpx.post(
        f"{crm_side.root}/services/oauth2/token",
        data={"grant_type": "client_credentials", "client_id": "sandbox-consumer", "client_secret": "sandbox-secret"},
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    httpx.delete(f"{crm_side.root}/services/data/v62.0/sobjects/Account/{saved.id}", headers=headers).raise_for_status()
    now = datetime.now(UTC)
    real = SalesforceConnector(_crm_connection(crm_side), Outside(clock=Clock(sleep=lambda _: None)))
    window = now - timedelta(minutes=5), now + timedelta(minutes=1)
    assert [id_ for some in real.deleted(crm_side.entity, *window) for id_ in some] == [saved.id]
    assert [r for page in real.changed(crm_side.entity, None, FAR) for r in page.records] == []
    real.close()


def _crm_connection(side: Salesforce) -> Connection:
    return Connection("crm", "salesforce", side.root, "sandbox-consumer", "sandbox-secret", {"time_out": 4})


@pytest.mark.proves(
    "finance's own invoices are upserted by the ledger's id", scenario="connector", systems=("salesforce",)
)
def test_ledger_invoices_are_upserted_by_their_ledger_id(crm: SalesforceConnector) -> None:
    def request(number: int, status: str) -> Request:
        body = {
            "Ledger_Invoice_Id__c": f"{number:036d}",
            "Status__c": status,
            "Total__c": Decimal("1000000000000.10"),
            "Invoice_Date__c": "2024-05-01",
        }
        return item(number, "ledger_invoices.upsert", body, f"{number:036d}")

    first = do(crm, request(1, "AUTHORISED"), request(2, "AUTHORISED"))
    assert [a.outcome for a in first] == ["applied"] * 2
    second = do(crm, request(1, "PAID"))
    assert second[0].vendor_id == first[0].vendor_id
    operation = crm.operation("ledger_invoices.upsert")
    found = crm.look_up(operation, [request(1, "PAID"), request(2, "PAID"), request(3, "PAID")])
    assert found["doc-1"][0].differences == ()
    assert found["doc-2"][0].differences == (("Status__c", "PAID", "AUTHORISED"),)
    assert found["doc-3"] == []


def test_a_record_that_is_gone_is_refused_and_not_found(crm_side: Salesforce, crm: SalesforceConnector) -> None:
    requests = crm_side.requests(1)
    missing = item(9, "accounts.write_back", {"Tieout_Ledger_Number__c": "x"}, requests[0].natural_key[:11] + "9999AAA")
    answers = do(crm, requests[0], missing)
    assert [(a.outcome, a.reason) for a in answers][1][0] == "refused"
    assert crm.look_up(crm.operation("accounts.write_back"), [missing]) == {"doc-9": []}


def test_missing_rights_and_fields_are_findings(crm_side: Salesforce, crm: SalesforceConnector) -> None:
    client: dict[str, Any] = {
        "consumer_key": "reader",
        "consumer_secret": "sandbox-secret",
        "username": "integration@sandbox.example",
        "objects": {"Account": ["read"], "Order": []},
        "hidden_fields": ["Account.Tax_Id__c"],
    }
    reply = httpx.post(f"{crm_side.root}/_sandbox/clients", json=client)
    assert reply.status_code == 200, reply.text
    required = Required(
        fields={
            "Account": {
                "Tax_Id__c": FieldNeed("string"),
                "Tieout_Ledger_Id__c": FieldNeed("string", 40, unique=True, writable=True),
                "Name": FieldNeed("currency"),
            },
            "Nothing__c": {"A__c": FieldNeed()},
        },
        currencies=frozenset({"EUR", "XXX"}),
    )
    reader = crm_side.connector("reader")
    wrong = [finding for finding in reader.findings(required) if not finding.ok]
    text = "\n".join(finding.what for finding in wrong)
    assert "no field Tax_Id__c" in text
    assert "holds 36 characters, expected 40" in text
    assert "Name is of type string, expected currency" in text
    assert "Nothing__c" in text
    assert "XXX" in text and "EUR" not in text
    assert all(finding.remedy for finding in wrong)
    with pytest.raises(PermissionDenied):
        list(reader.changed(entity("salesforce", "Order", "Id", "SystemModstamp"), None, FAR))
    reader.close()


# ---- Xero


def test_an_invoice_number_that_is_taken_is_said_so(books_side: Xero, books: XeroConnector) -> None:
    (first,) = books_side.requests(1)
    assert do(books, first)[0].outcome == "applied"
    other = item(7, "invoices.create", first.body, first.natural_key)
    (answer,) = do(books, other)
    assert (answer.outcome, answer.reason) == ("refused", "duplicate_number")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Date": "2023-12-31"}, "period_locked"),
        ({"CurrencyCode": "JPY"}, "invalid_currency"),
        ({"Contact": {"ContactID": "00000000-0000-4000-8000-000000000000"}}, "contact_not_found"),
        (
            {
                "LineItems": [
                    {"Description": "a", "Quantity": 1, "UnitAmount": 1, "AccountCode": "200", "TaxType": "NOPE"}
                ]
            },
            "invalid_tax_type",
        ),
    ],
)
def test_stable_reasons(books_side: Xero, books: XeroConnector, change: dict[str, Any], reason: str) -> None:
    books_side.sandbox.settings("xero", period_lock_date="2024-01-31")
    (good,) = books_side.requests(1)
    (answer,) = do(books, item(5, "invoices.create", exact_json.loads(good.body) | change, good.natural_key))
    assert (answer.outcome, answer.reason) == ("refused", reason), answer.message


def test_an_archived_contact_takes_no_invoice_and_is_found(books_side: Xero, books: XeroConnector) -> None:
    (request,) = books_side.requests(1)
    httpx.post(f"{books_side.root}/_sandbox/contacts/{books_side.contact}/archive").raise_for_status()
    (answer,) = do(books, request)
    assert (answer.outcome, answer.reason) == ("refused", "contact_archived")
    contact = item(0, "contacts.create", {"ContactNumber": "C-1", "Name": "Acme"}, "C-1")
    (found,) = books.look_up(books.operation("contacts.create"), [contact])["doc-0"]
    assert found.differences == (("ContactStatus", "ACTIVE", "ARCHIVED"),)


@pytest.mark.proves("a void frees the number and is found as done", scenario="connector", systems=("xero",))
def test_a_void_frees_the_look_up_and_is_found_as_done(books_side: Xero, books: XeroConnector) -> None:
    (request,) = books_side.requests(1)
    (made,) = do(books, request)
    void = item(2, "invoices.void", {"InvoiceID": made.vendor_id, "Status": "VOIDED"}, str(made.vendor_id))
    operation = books.operation("invoices.void")
    (before,) = books.look_up(operation, [void])["doc-2"]
    assert before.differences == (("Status", "VOIDED", "AUTHORISED"),)
    assert do(books, void)[0].outcome == "applied"
    (after,) = books.look_up(operation, [void])["doc-2"]
    assert after.differences == ()
    assert books.look_up(books.operation("invoices.create"), [request]) == {"doc-0": []}


@pytest.mark.proves(
    "a credit note is created, found and set against its invoice", scenario="connector", systems=("xero",)
)
def test_a_credit_note_is_created_found_and_allocated(books_side: Xero, books: XeroConnector) -> None:
    (request,) = books_side.requests(1)
    (made,) = do(books, request)
    line = {"Description": "back", "Quantity": 1, "UnitAmount": "1.00", "AccountCode": "200", "TaxType": "OUTPUT2"}
    note = item(
        3,
        "credit_notes.create",
        {
            "Type": "ACCRECCREDIT",
            "Reference": 'our "key"',
            "Contact": {"ContactID": books_side.contact},
            "Date": "2024-05-02",
            "Status": "AUTHORISED",
            "LineItems": [line],
        },
        'our "key"',
    )
    (credited,) = do(books, note)
    assert credited.outcome == "applied" and credited.number, credited.message
    (found,) = books.look_up(books.operation("credit_notes.create"), [note])["doc-3"]
    assert (found.vendor_id, found.differences) == (credited.vendor_id, ())
    allocation = item(
        4,
        "credit_notes.allocate",
        {
            "CreditNote": {"CreditNoteID": credited.vendor_id},
            "Invoice": {"InvoiceID": made.vendor_id},
            "Amount": Decimal("1.20"),
            "Date": "2024-05-02",
        },
    )
    operation = books.operation("credit_notes.allocate")
    assert books.look_up(operation, [allocation]) == {"doc-4": []}
    (applied,) = do(books, allocation)
    assert applied.outcome == "applied" and applied.vendor_id, applied.message
    (one,) = books.look_up(operation, [allocation])["doc-4"]
    assert one.differences == ()
    (too_much,) = do(books, item(5, "credit_notes.allocate", allocation.body))
    assert too_much.outcome == "refused"


@pytest.mark.proves("a refund is found by our reference and made once", scenario="connector", systems=("xero",))
def test_a_refund_is_found_by_our_reference_and_made_once(books_side: Xero, books: XeroConnector) -> None:
    books_side.requests(1)  # makes the contact
    line = {"Description": "back", "Quantity": 1, "UnitAmount": "10.00", "AccountCode": "200", "TaxType": "OUTPUT2"}
    note = {"Type": "ACCRECCREDIT", "Reference": "ours", "Contact": {"ContactID": books_side.contact},
            "Date": "2024-05-02", "Status": "AUTHORISED", "LineItems": [line]}  # fmt: skip
    (credited,) = do(books, item(3, "credit_notes.create", note, "ours"))
    body = {"CreditNote": {"CreditNoteID": credited.vendor_id}, "Account": {"Code": "090"}, "Reference": "our refund",
            "Amount": Decimal("12.00"), "Date": "2024-05-02"}  # fmt: skip
    refund, operation = item(4, "refunds.create", body, "our refund"), books.operation("refunds.create")
    assert books.look_up(operation, [refund]) == {"doc-4": []}
    (paid,) = do(books, refund)
    assert paid.outcome == "applied", paid.message
    (found,) = books.look_up(operation, [refund])["doc-4"]
    assert (found.vendor_id, found.differences) == (paid.vendor_id, ())
    # Another amount under our reference is not taken for ours; nothing is open for a second refund.
    (other,) = books.look_up(operation, [item(4, "refunds.create", body | {"Amount": Decimal(11)}, "our refund")])[
        "doc-4"
    ]
    assert [name for name, _, _ in other.differences] == ["Amount"]
    (second,) = do(books, item(5, "refunds.create", body | {"Reference": "another"}, "another"))
    assert second.outcome == "refused"
    # What was deleted does not stand in the way of a new one.
    with LedgerHand(ledger_connection(books_side.sandbox, "ledger")) as hand:
        hand.change(f"Payments/{paid.vendor_id}", {"Status": "DELETED"})
    assert books.look_up(operation, [refund]) == {"doc-4": []}


def test_a_payment_is_taken_back_by_its_id_once_and_not_once_the_bank_has_it(
    books_side: Xero, books: XeroConnector
) -> None:
    (request,) = books_side.requests(1)
    invoice = exact_json.loads(request.body)
    (billed,) = do(books, item(1, "invoices.create", invoice))
    with LedgerHand(ledger_connection(books_side.sandbox, "ledger")) as hand:
        once, twice = (
            hand.create("Payments", [{"Invoice": {"InvoiceID": billed.vendor_id}, "Account": {"Code": "090"},
                                      "Amount": "1.00", "Date": "2024-05-02", "IsReconciled": by_the_bank}])[0]
            for by_the_bank in (False, True)
        )  # fmt: skip
        void = item(2, "payments.void", {"PaymentID": once["PaymentID"], "Status": "DELETED"})
        operation = books.operation("payments.void")
        assert operation.batch == 1 and operation.repeatable and not operation.creates
        (found,) = books.look_up(operation, [void])["doc-2"]
        assert found.differences == (("Status", "DELETED", "AUTHORISED"),), "not applied yet: it may be sent"
        (done,) = do(books, void)
        assert (done.outcome, done.vendor_id) == ("applied", once["PaymentID"])
        (found,) = books.look_up(operation, [void])["doc-2"]
        assert found.differences == ()
        (kept,) = do(books, item(3, "payments.void", {"PaymentID": twice["PaymentID"], "Status": "DELETED"}))
        assert kept.outcome == "refused" and "reconciled" in kept.message
        states = {one["PaymentID"]: one["Status"] for one in hand.all("Payments")}
    assert states == {once["PaymentID"]: "DELETED", twice["PaymentID"]: "AUTHORISED"}
    (unnamed,) = do(books, item(4, "payments.void", {"Status": "DELETED"}))
    assert (unnamed.outcome, unnamed.reason) == ("refused", "body_unreadable")


def test_contacts_and_drafts_are_updated_by_their_ids(books_side: Xero, books: XeroConnector) -> None:
    (request,) = books_side.requests(1)
    draft = exact_json.loads(request.body) | {"Status": "DRAFT"}
    (made,) = do(books, item(1, "invoices.create", draft))
    lines = [{"Description": "new", "Quantity": 2, "UnitAmount": "0.0050", "AccountCode": "200", "TaxType": "NONE"}]
    update = item(2, "invoices.update", {"InvoiceID": made.vendor_id, "LineItems": lines})
    assert do(books, update)[0].outcome == "applied"
    (found,) = books.look_up(books.operation("invoices.update"), [update])["doc-2"]
    assert found.differences == ()
    address = [{"AddressType": "POBOX", "City": "Århus", "Country": "DK"}]
    contact = item(3, "contacts.update", {"ContactID": books_side.contact, "Name": "Acme Ltd", "Addresses": address})
    assert do(books, contact)[0].outcome == "applied"
    (found,) = books.look_up(books.operation("contacts.update"), [contact])["doc-3"]
    assert found.differences == ()


def test_what_a_link_needs_of_a_ledger_is_examined(books: XeroConnector) -> None:
    required = Required(
        currencies=frozenset({"EUR", "JPY"}),
        accounts=frozenset({"200", "999"}),
        tax_types=frozenset({"OUTPUT2", "NOPE"}),
    )
    findings = books.findings(required)
    wrong = "\n".join(finding.what for finding in findings if not finding.ok)
    assert "JPY" in wrong and "999" in wrong and "NOPE" in wrong
    assert "EUR" not in wrong and "200" not in wrong.replace("HTTP 200", "") and "OUTPUT2" not in wrong
    assert any("Sandbox Trading Ltd" in finding.what for finding in findings)


def test_every_entity_can_be_read(books_side: Xero, books: XeroConnector) -> None:
    do(books, *books_side.requests(2))
    keys = {
        "Contacts": ("ContactID", "UpdatedDateUTC"),
        "Invoices": ("InvoiceID", "UpdatedDateUTC"),
        "Payments": ("PaymentID", "UpdatedDateUTC"),
        "CreditNotes": ("CreditNoteID", "UpdatedDateUTC"),
        "Items": ("ItemID", "UpdatedDateUTC"),
        "Accounts": ("AccountID", "UpdatedDateUTC"),
        "TaxRates": ("TaxType", None),
        "Currencies": ("Code", None),
        "Organisation": ("OrganisationID", None),
    }
    counts = {
        obj: sum(len(page.records) for page in books.changed(entity("xero", obj, key, stamp), None, FAR))
        for obj, (key, stamp) in keys.items()
    }
    assert counts["Contacts"] == 1 and counts["Invoices"] == 2 and counts["Organisation"] == 1
    assert counts["Accounts"] > 10 and counts["TaxRates"] > 5 and counts["Currencies"] == 3
    (page,) = books.changed(books_side.entity, LONG_AGO, FAR)
    assert page.records[0]["LineItems"][0]["UnitAmount"] == Decimal("3.3335")


def test_a_reader_may_not_write(books_side: Xero) -> None:
    reader = books_side.connector("sandbox-reader", scopes="accounting.transactions.read accounting.contacts.read")
    with pytest.raises(PermissionDenied):
        reader.send(reader.operation("invoices.create"), books_side.requests(1))
    assert any(not finding.ok and "write" in finding.what for finding in reader.findings())
    reader.close()
