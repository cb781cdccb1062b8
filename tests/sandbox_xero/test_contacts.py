"""Contacts: unique names and numbers, lengths, archiving, merging."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from tests.sandbox_xero.conftest import Xero, invoice


def test_a_contact_is_created_read_and_changed(xero: Xero) -> None:
    made = xero.contact("Ann Ltd", ContactNumber="001", EmailAddress="ann@example.com")
    assert made["ContactStatus"] == "ACTIVE" and made["StatusAttributeString"] == "OK"
    for key in (made["ContactID"], "001"):
        assert xero.get(f"Contacts/{key}")["Contacts"][0]["Name"] == "Ann Ltd"
    changed = xero.write("POST", "Contacts", {"Contacts": [{"ContactID": made["ContactID"], "Name": "Ann & Co"}]})
    assert (changed["Name"], changed["EmailAddress"]) == ("Ann & Co", "ann@example.com")
    by_number = xero.write("POST", "Contacts", {"Contacts": [{"ContactNumber": "001", "TaxNumber": "GB1"}]})
    assert by_number["ContactID"] == made["ContactID"] and by_number["Name"] == "Ann & Co"


def test_names_are_unique_among_active_contacts(xero: Xero) -> None:
    ann = xero.contact("Ann Ltd")
    messages = xero.refused("PUT", "Contacts", {"Contacts": [{"Name": "ANN ltd"}]})
    assert "already assigned to another contact" in messages[0]
    xero.write("POST", "Contacts", {"Contacts": [{"ContactID": ann["ContactID"], "ContactStatus": "ARCHIVED"}]})
    assert xero.contact("Ann Ltd")["ContactID"] != ann["ContactID"]


def test_numbers_are_unique(xero: Xero) -> None:
    xero.contact("Ann Ltd", ContactNumber="001")
    messages = xero.refused("PUT", "Contacts", {"Contacts": [{"Name": "Bob", "ContactNumber": "001"}]})
    assert messages == ["Another contact has this contact number. Please enter a different contact number."]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Name": "x" * 256}, "must not exceed 255"),
        ({"Name": "X", "ContactNumber": "1" * 51}, "must not exceed 50"),
        ({"Name": " "}, "Contact Name cannot be empty."),
        ({"ContactNumber": "7"}, "Contact Name cannot be empty."),
        ({"Name": "X", "EmailAddress": "nonsense"}, "Email address must be valid."),
        ({"Name": 7}, "not a valid text"),
        ({"Name": "X", "ContactID": "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00009"}, "ContactID"),
    ],
)
def test_contacts_that_are_refused(xero: Xero, fields: dict[str, str], message: str) -> None:
    assert message in xero.refused("PUT", "Contacts", {"Contacts": [fields]})[0]


def test_the_longest_name_is_accepted(xero: Xero) -> None:
    assert xero.contact("x" * 255, ContactNumber="1" * 50)["Name"] == "x" * 255


def test_archived_contacts_are_listed_on_demand_and_take_no_documents(xero: Xero) -> None:
    ann = xero.contact("Ann Ltd")
    httpx.post(f"{xero.root}/_sandbox/contacts/{ann['ContactID']}/archive").raise_for_status()
    assert xero.get("Contacts")["Contacts"] == []
    assert len(xero.get("Contacts", includeArchived="true")["Contacts"]) == 1
    body = {"Invoices": [invoice(Contact={"ContactID": ann["ContactID"]})]}
    assert "archived" in xero.refused("PUT", "Invoices", body)[0]


def test_a_merge_archives_the_source_and_moves_its_documents(xero: Xero) -> None:
    ann, bob = xero.contact("Ann Ltd", ContactNumber="001"), xero.contact("Bob Ltd")
    made = xero.invoice(Contact={"ContactID": ann["ContactID"]})
    door = f"{xero.root}/_sandbox/contacts/merge"
    httpx.post(door, json={"from": ann["ContactID"], "to": bob["ContactID"]}).raise_for_status()
    merged = xero.get(f"Contacts/{ann['ContactID']}")["Contacts"][0]
    assert (merged["ContactStatus"], merged["MergedToContactID"]) == ("ARCHIVED", bob["ContactID"])
    moved = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert moved["Contact"]["ContactID"] == bob["ContactID"]
    number = {"Contacts": [{"Name": "Cy", "ContactNumber": "001"}]}
    assert "Another contact has this contact number" in xero.refused("PUT", "Contacts", number)[0]


def test_balances_are_in_single_reads_and_pages(xero: Xero) -> None:
    made = xero.invoice()
    contact_id = made["Contact"]["ContactID"]
    xero.pay(made["InvoiceID"], "20.00")
    shown = xero.get(f"Contacts/{contact_id}")["Contacts"][0]
    assert shown["Balances"]["AccountsReceivable"]["Outstanding"] == Decimal("100.00")
    assert shown["IsCustomer"] is True and shown["IsSupplier"] is False
    assert "Balances" not in xero.get("Contacts")["Contacts"][0]
    assert "Balances" in xero.get("Contacts", page=1)["Contacts"][0]
    assert "Balances" not in xero.get("Contacts", page=1, summaryOnly="true")["Contacts"][0]


def test_search_term_looks_into_names_numbers_and_addresses(xero: Xero) -> None:
    xero.contact("Ann Ltd", EmailAddress="hello@example.com")
    xero.contact("Bob Ltd")
    found = xero.get("Contacts", searchTerm="EXAMPLE")["Contacts"]
    assert [contact["Name"] for contact in found] == ["Ann Ltd"]
