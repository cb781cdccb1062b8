"""Xero's own Python client, unchanged, against the sandbox: only address and credentials are ours."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from xero_python.accounting import (
    Account,
    AccountingApi,
    Allocation,
    Allocations,
    Contact,
    Contacts,
    CreditNote,
    CreditNotes,
    CurrencyCode,
    Invoice,
    Invoices,
    LineItem,
    Payment,
    PaymentDelete,
    Payments,
)
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token, TokenApi
from xero_python.exceptions import AccountingBadRequestException, HTTPStatusException

from tests.sandbox_xero.conftest import NO_LIMITS, TENANT
from tests.support.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.proves(
        "Xero's own Python client, unchanged, works with the sandbox", scenario="connector", systems=("xero",)
    )
]

DAY = datetime.date(2026, 3, 1)
DUE = datetime.date(2026, 3, 31)


@pytest.fixture
def api(sandbox: SandboxProcess) -> AccountingApi:
    sandbox.settings("xero", limits=NO_LIMITS)
    held: dict[str, Any] = {}
    token = OAuth2Token(client_id="sandbox-client", client_secret="sandbox-secret")
    client = ApiClient(Configuration(oauth2_token=token), pool_threads=1)
    client.oauth2_token_getter(lambda: held)
    client.oauth2_token_saver(held.update)
    identity = TokenApi(client, "sandbox-client", "sandbox-secret")
    identity.client_credentials_token_url = f"{sandbox.url}/xero/connect/token"
    client.set_oauth2_token(identity.get_client_credentials_token(False))
    return AccountingApi(client, base_url=f"{sandbox.url}/xero/api.xro/2.0")


def lines(amount: str = "100.00") -> list[LineItem]:
    return [LineItem(description="Work", quantity=Decimal(1), unit_amount=Decimal(amount), account_code="200")]


def invoice(number: str, contact: Contact, **more: Any) -> Invoice:
    fields = {"type": "ACCREC", "status": "AUTHORISED", "date": DAY, "due_date": DUE, "line_items": lines()}
    return Invoice(invoice_number=number, contact=contact, **(fields | more))


def contact(api: AccountingApi) -> Contact:
    made = api.create_contacts(TENANT, Contacts(contacts=[Contact(name="Ann Ltd", contact_number="001")]))
    return Contact(contact_id=made.contacts[0].contact_id)


def test_contacts(api: AccountingApi) -> None:
    id_ = contact(api).contact_id
    changed = Contacts(contacts=[Contact(contact_id=id_, name="Ann & Co", email_address="ann@example.com")])
    assert api.update_or_create_contacts(TENANT, changed).contacts[0].name == "Ann & Co"
    assert api.get_contact(TENANT, id_).contacts[0].email_address == "ann@example.com"
    assert api.get_contact_by_contact_number(TENANT, "001").contacts[0].contact_id == id_
    page = api.get_contacts(TENANT, page=1, where='ContactStatus=="ACTIVE"', order="Name ASC")
    assert [found.contact_id for found in page.contacts] == [id_]


def test_invoices_are_created_updated_and_paged(api: AccountingApi) -> None:
    ann = contact(api)
    batch = Invoices(invoices=[invoice(f"N{number:03}", ann) for number in range(120)])
    made = api.create_invoices(TENANT, batch, summarize_errors=False, unitdp=4, idempotency_key="batch-1")
    assert {entry.status_attribute_string for entry in made.invoices} == {"OK"}
    assert made.invoices[0].total == Decimal("120.00") and made.invoices[0].due_date == DUE
    assert made.invoices[0].currency_code == CurrencyCode.GBP
    again = api.create_invoices(TENANT, batch, summarize_errors=False, unitdp=4, idempotency_key="batch-1")
    assert again.invoices[0].invoice_id == made.invoices[0].invoice_id
    pages = [api.get_invoices(TENANT, page=page, order="InvoiceNumber ASC").invoices for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [100, 20, 0]
    assert len({entry.invoice_id for page in pages for entry in page}) == 120
    id_ = made.invoices[5].invoice_id
    body = Invoices(invoices=[Invoice(reference="changed", line_items=lines("10.00"))])
    assert api.update_invoice(TENANT, id_, body).invoices[0].total == Decimal("12.00")
    body = Invoices(invoices=[Invoice(invoice_id=id_, status="VOIDED")])
    assert api.update_or_create_invoices(TENANT, body).invoices[0].status == "VOIDED"
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    found = api.get_invoices(TENANT, if_modified_since=since, statuses=["VOIDED"], i_ds=[id_])
    assert [entry.reference for entry in found.invoices] == ["changed"]


def test_payments(api: AccountingApi) -> None:
    made = api.create_invoices(TENANT, Invoices(invoices=[invoice("N1", contact(api))])).invoices[0]
    body = Payment(
        invoice=Invoice(invoice_id=made.invoice_id), account=Account(code="090"), amount=Decimal("120.00"), date=DUE
    )
    paid = api.create_payments(TENANT, Payments(payments=[body])).payments[0]
    read = api.get_invoice(TENANT, made.invoice_id).invoices[0]
    assert (read.status, read.amount_due, read.fully_paid_on_date) == ("PAID", 0, DUE)
    assert api.get_payment(TENANT, paid.payment_id).payments[0].amount == Decimal("120.00")
    assert api.delete_payment(TENANT, paid.payment_id, PaymentDelete(status="DELETED")).payments[0].status == "DELETED"
    assert api.get_invoice(TENANT, made.invoice_id).invoices[0].status == "AUTHORISED"


def test_credit_notes_and_allocations(api: AccountingApi) -> None:
    ann = contact(api)
    made = api.create_invoices(TENANT, Invoices(invoices=[invoice("N1", ann)])).invoices[0]
    note = CreditNote(type="ACCRECCREDIT", status="AUTHORISED", contact=ann, date=DAY, line_items=lines("50.00"))
    note = api.create_credit_notes(TENANT, CreditNotes(credit_notes=[note])).credit_notes[0]
    part = Allocation(amount=Decimal("60.00"), date=DUE, invoice=Invoice(invoice_id=made.invoice_id))
    body = Allocations(allocations=[part])
    applied = api.create_credit_note_allocation(TENANT, note.credit_note_id, body).allocations[0]
    assert api.get_invoice(TENANT, made.invoice_id).invoices[0].amount_credited == Decimal("60.00")
    read = api.get_credit_note(TENANT, note.credit_note_id).credit_notes[0]
    assert (read.status, read.remaining_credit) == ("PAID", 0)
    gone = api.delete_credit_note_allocations(TENANT, note.credit_note_id, applied.allocation_id)
    assert gone.is_deleted is True


def test_errors(api: AccountingApi) -> None:
    ann = contact(api)
    api.create_invoices(TENANT, Invoices(invoices=[invoice("N1", ann)]))
    with pytest.raises(AccountingBadRequestException) as caught:
        api.create_invoices(TENANT, Invoices(invoices=[invoice("N1", ann)]))
    assert caught.value.error_data["Elements"][0]["ValidationErrors"][0]["Message"] == "Invoice # must be unique."
    mixed = Invoices(invoices=[invoice("N1", ann), invoice("N2", ann)])
    answer = api.create_invoices(TENANT, mixed, summarize_errors=False)
    assert [(entry.has_errors, entry.status_attribute_string) for entry in answer.invoices] == [
        (True, "ERROR"),
        (False, "OK"),
    ]
    with pytest.raises(HTTPStatusException) as forbidden:
        api.get_organisations("00000000-0000-0000-0000-000000000000")
    assert forbidden.value.status == 403


def test_reference_data(api: AccountingApi) -> None:
    organisation = api.get_organisations(TENANT).organisations[0]
    assert organisation.base_currency == CurrencyCode.GBP
    assert {account.code for account in api.get_accounts(TENANT).accounts} >= {"200", "090", "610"}
    rates = {rate.tax_type: rate.effective_rate for rate in api.get_tax_rates(TENANT).tax_rates}
    assert rates["OUTPUT2"] == 20 and rates["ZERORATEDOUTPUT"] == 0
    assert api.get_currencies(TENANT).currencies[0].code == CurrencyCode.GBP
    assert api.get_items(TENANT).items == []
