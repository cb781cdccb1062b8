"""The real mappings as functions over frames: from staged columns to the common model, from there to native fields."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mapping.frames import MODIFIED, common, demo_link, mappings, staged, values
from tieout.mapping.columns import DTYPES
from tieout.mapping.compile import Outcome, compile_read, compile_write
from tieout.mapping.spec import FieldMapping, Mapping
from tieout.model.common import ENTITIES

D = Decimal
ORDER = {
    "id": "801000000000001AAA", "order_number": "00000100", "account_id": "001000000000001AAA", "status": "Activated",
    "effective_date": date(2026, 1, 5), "currency": "EUR", "exchange_rate": D("1.165"), "freight": D("12.50"),
    "total_amount": D("1000000000000000.10"), "po_number": " =HYPERLINK(\"http://x\") ",
}  # fmt: skip


def read(system: str, entity: str, *rows: dict[str, Any]) -> Outcome:
    mapping = mappings(system)[entity]
    return compile_read(mapping, demo_link())(staged(mapping, *rows))


def write(system: str, entity: str, *rows: dict[str, Any], **limits: Any) -> Outcome:
    return compile_write(mappings(system)[entity], demo_link(), **limits)(common(*rows))


def one(outcome: Outcome) -> dict[str, Any]:
    assert outcome.rejections == []
    assert len(outcome.frame) == 1
    return {name: values(outcome.frame[name])[0] for name in outcome.frame.columns}


@pytest.mark.parametrize("system", ["salesforce", "xero"])
def test_every_mapping_reads_into_the_whole_common_frame(system: str) -> None:
    for mapping in mappings(system).values():
        if not mapping.is_staged:
            continue
        for rows in ([], [{"id": "1"}]):
            outcome = compile_read(mapping, demo_link())(staged(mapping, *rows))
            assert outcome.rejections == [], mapping.entity
            assert len(outcome.frame) == len(rows)
            for name, kind in ENTITIES[mapping.entity].items():
                assert outcome.frame[name].dtype == DTYPES[kind], (mapping.entity, name)
            assert {"_source_id", "_version"} <= set(outcome.frame.columns)


def test_activated_order_is_billable() -> None:
    row = one(read("salesforce", "order", ORDER))
    assert (row["billable"], row["cancelled"]) == (True, False)
    assert (row["number"], row["currency"], row["freight_minor"]) == ("00000100", "EUR", 1250)
    assert row["total_minor"] == 100000000000000010
    assert row["exchange_rate"] == D("1.165")
    assert row["order_date"] == date(2026, 1, 5)
    assert row["reference"] == '=HYPERLINK("http://x")'
    assert (row["modified_at"], row["_version"]) == (MODIFIED, 1)


@pytest.mark.parametrize("status", ["Cancelled", "Canceled", "Expired"])
def test_cancelled_order_is_cancelled(status: str) -> None:
    row = one(read("salesforce", "order", {**ORDER, "status": status}))
    assert (row["billable"], row["cancelled"]) == (False, True)


def test_draft_order_is_neither_billable_nor_cancelled() -> None:
    row = one(read("salesforce", "order", {**ORDER, "status": "Draft"}))
    assert (row["billable"], row["cancelled"]) == (False, False)


def test_closed_won_opportunity_is_billable() -> None:
    base = {"id": "006", "currency": "JPY", "amount": D(1054), "close_date": date(2017, 3, 1), "name": "Deal"}
    assert one(read("salesforce", "opportunity", {**base, "stage": "Closed Won"}))["billable"]
    assert not one(read("salesforce", "opportunity", {**base, "stage": "Closed Lost"}))["billable"]
    assert one(read("salesforce", "opportunity", {**base, "stage": "Closed Won"}))["total_minor"] == 1054


def test_accepted_quote() -> None:
    assert one(read("salesforce", "quote", {"id": "0Q0", "status": "Accepted", "currency": "GBP"}))["accepted"]
    assert not one(read("salesforce", "quote", {"id": "0Q0", "status": "Draft", "currency": "GBP"}))["accepted"]


def test_line_takes_tax_code_and_description_of_its_product_where_it_has_none() -> None:
    row = one(
        read("salesforce", "order_line", {
            "id": "802", "parent_id": "801", "position": 1, "product_code": "A", "product_name": "Chair",
            "product_tax_code": "standard", "quantity": D(2), "unit_price": D("9.99"), "quote_line_id": "0QL",
        })
    )  # fmt: skip
    assert (row["description"], row["tax_code"], row["quote_line_id"]) == ("Chair", "standard", "0QL")
    assert (row["position"], row["discount_percent"]) == (1, None)


def test_unknown_currency_is_rejected_and_the_rest_goes_on() -> None:
    outcome = read("salesforce", "order", ORDER, {**ORDER, "id": "802", "currency": "XYZ"}, {**ORDER, "id": "803"})
    assert values(outcome.frame["order_id"]) == [ORDER["id"], "803"]
    first = outcome.rejections[0]
    assert (first.system, first.entity, first.source_id) == ("salesforce", "order", "802")
    assert (first.reason, first.found) == ("unknown_currency", "XYZ")
    assert first.expected == "an ISO 4217 code of a currency in use"
    assert first.message.startswith("order 802: currency cannot be read (include/mappings/salesforce/order.yaml:")
    assert {item.source_id for item in outcome.rejections} == {"802"}


def test_amount_finer_than_its_currency_is_rejected() -> None:
    outcome = read("salesforce", "order", {**ORDER, "currency": "JPY", "freight": D("12.50"), "total_amount": D("1.5")})
    assert [(item.reason, item.found) for item in outcome.rejections] == [("amount_not_in_currency", "12.5 | JPY")]


def test_invalid_tax_id_of_a_crm_account_is_rejected_and_that_of_a_ledger_contact_kept() -> None:
    crm = read("salesforce", "account", {"id": "001", "name": "Acme", "tax_id": "DE136695977"})
    assert [item.reason for item in crm.rejections] == ["invalid_tax_id"]
    assert (
        one(read("xero", "account", {"id": "c", "name": "Acme", "tax_number": "DE136695977"}))["tax_id"]
        == "DE136695977"
    )


def test_both_sides_give_a_customer_the_same_identity() -> None:
    crm = one(read("salesforce", "account", {
        "id": "001", "name": " Acme  GmbH", "tax_id": "DE 136 695 976", "billing_country": "Germany",
        "billing_city": "Berlin", "billing_postal_code": "10115", "billing_street": "Weg 1\r\nHof", "currency": "EUR",
    }))  # fmt: skip
    ledger = one(read("xero", "account", {
        "id": "c", "name": "Acme GmbH", "tax_number": "136695976", "contact_number": "001", "status": "ACTIVE",
        "addresses": '[{"AddressType":"STREET"},{"AddressType":"POBOX","AddressLine1":"Weg 1","AddressLine2":"Hof",'
                     '"City":"Berlin","PostalCode":"10115","Country":"DE"}]',
    }))  # fmt: skip
    for name in ("name", "tax_id", "country", "city", "postcode"):
        assert crm[name] == ledger[name] is not None, name
    assert crm["street"].split() == ledger["street"].split()
    assert crm["crm_id"] == ledger["crm_id"] == "001"


def test_invoice_of_the_ledger() -> None:
    row = one(read("xero", "invoice", {
        "id": "i", "type": "ACCREC", "invoice_number": "INV-1", "status": "AUTHORISED", "contact_id": "c",
        "currency": "GBP", "sub_total": D("100.00"), "total_tax": D("20.00"), "total": D("120.00"),
        "amount_due": D("70.00"), "amount_paid": D("50.00"), "amount_credited": D(0), "date": date(2026, 1, 5),
    }))  # fmt: skip
    assert (row["kind"], row["customer_id"], row["total_minor"], row["due_minor"]) == ("invoice", "c", 12000, 7000)
    assert (row["paid_minor"], row["credited_minor"], row["paid_on"]) == (5000, 0, None)


def test_refund_takes_the_currency_of_its_credit_note() -> None:
    row = one(read("xero", "payment", {
        "id": "p", "type": "ARCREDITPAYMENT", "credit_memo_id": "n", "amount": D(5), "credit_memo_currency": "JPY",
    }))  # fmt: skip
    assert (row["kind"], row["currency"], row["amount_minor"]) == ("refund", "JPY", 5)


def test_dated_rate_has_its_two_currencies() -> None:
    row = one(read("salesforce", "exchange_rate", {"id": "r", "currency": "EUR", "rate": D("1.165")}))
    assert (row["from_currency"], row["to_currency"], row["rate"]) == ("GBP", "EUR", D("1.165"))


ACCOUNT = {"_source_id": "001", "name": "Acme Ltd", "crm_id": "001", "currency": "GBP"}


def test_customer_for_the_ledger() -> None:
    row = one(write("xero", "account", {
        **ACCOUNT, "tax_id": "GB980780684", "street": "1 High St\nUnit 2", "city": "York", "country": "GB",
    }))  # fmt: skip
    assert (row["Name"], row["ContactNumber"], row["_key"]) == ("Acme Ltd", "001", "001")
    assert row["Addresses[0].AddressType"] == "POBOX"
    assert (row["Addresses[0].AddressLine1"], row["Addresses[0].AddressLine2"]) == ("1 High St", "Unit 2")
    assert row["Addresses[0].Country"] == "United Kingdom"
    assert row["ContactID"] is None


def test_customer_without_address_gets_none() -> None:
    assert one(write("xero", "account", ACCOUNT))["Addresses[0].AddressType"] is None


def test_person_is_billed_by_first_and_last_name() -> None:
    person = {**ACCOUNT, "name": "Lee household", "is_person": True, "first_name": "Ann", "last_name": "Lee"}
    assert one(write("xero", "account", person))["Name"] == "Ann Lee"


def test_name_of_300_characters_is_cut_and_reported() -> None:
    outcome = write("xero", "account", {**ACCOUNT, "name": "N" * 300})
    assert one(outcome)["Name"] == "N" * 255
    assert [(note.source_id, note.field, note.kind, note.message) for note in outcome.notes] == [
        ("001", "Name", "truncated", "cut from 300 to 255 characters"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["\U0001f389 Party \u0645\u0631\u062d\u0628\u0627", '=HYPERLINK("http://x","y")', "+1", "O'Neil & <Sons>"]
)
def test_awkward_names_pass_as_they_are(name: str) -> None:
    outcome = write("xero", "account", {**ACCOUNT, "name": name})
    assert one(outcome)["Name"] == name
    assert outcome.notes == []


def test_control_characters_are_refused() -> None:
    outcome = write("xero", "account", {**ACCOUNT, "name": "Ac\x00me"})
    assert [item.reason for item in outcome.rejections] == ["characters_refused"]
    assert outcome.frame.empty


INVOICE = {
    "_key": "801", "number": "INV-1", "customer_id": "c", "date": date(2026, 1, 5), "currency": "EUR",
    "status": "AUTHORISED", "exchange_rate": D("1.165"),
}  # fmt: skip


def test_invoice_for_the_ledger() -> None:
    row = one(write("xero", "invoice", INVOICE))
    assert (row["Type"], row["Status"], row["LineAmountTypes"]) == ("ACCREC", "AUTHORISED", "Exclusive")
    assert (row["Date"], row["DueDate"], row["CurrencyRate"]) == ("2026-01-05", None, D("1.165"))
    assert one(write("xero", "invoice", {**INVOICE, "status": "draft"}))["Status"] == "DRAFT"


@pytest.mark.parametrize(
    ("field", "reason"), [("number", "value_missing"), ("customer_id", "value_missing"), ("date", "value_missing")]
)
def test_invoice_without_what_it_needs_is_rejected(field: str, reason: str) -> None:
    outcome = write("xero", "invoice", INVOICE, {**INVOICE, "_key": "802", field: None})
    assert [(item.source_id, item.reason) for item in outcome.rejections] == [("802", reason)]
    assert values(outcome.frame["_key"]) == ["801"]


def test_invoice_number_is_never_cut() -> None:
    outcome = write("xero", "invoice", {**INVOICE, "number": "9" * 256})
    assert [(item.reason, item.expected, item.found) for item in outcome.rejections] == [
        ("text_too_long", "at most 255 characters", "256 characters"),
    ]  # fmt: skip


def test_price_of_five_decimals_is_rejected_and_not_rounded() -> None:
    line = {"_key": "801", "description": "x", "quantity": D(1), "account_code": "200", "product_code": "A"}
    outcome = write("xero", "invoice_line", {**line, "unit_price": D("1.0001")}, {**line, "unit_price": D("1.00001")})
    assert [(item.reason, item.found) for item in outcome.rejections] == [("too_many_decimals", "1.00001")]
    assert values(outcome.frame["UnitAmount"]) == [D("1.0001")]


def test_only_the_named_fields_are_written() -> None:
    row = one(
        write("salesforce", "account", {"account_id": "001", "ledger_id": "c"}, fields={"Id", "Tieout_Ledger_Id__c"})
    )
    assert row == {"Id": "001", "Tieout_Ledger_Id__c": "c", "_key": "001"}


def test_write_back_of_an_order() -> None:
    row = one(write("salesforce", "order", {
        "order_id": "801", "currency": "GBP", "invoice_id": "i", "invoice_number": "INV-1", "invoice_status": "PAID",
        "invoice_total_minor": 12000, "invoice_due_minor": 0, "invoice_paid_minor": 12000,
        "invoice_paid_on": date(2026, 2, 1), "message": "two\nlines",
    }))  # fmt: skip
    assert row["Tieout_Invoice_Total__c"] == D(120)
    assert (row["Tieout_Paid_On__c"], row["Tieout_Message__c"]) == ("2026-02-01", "two lines")
    assert "Tieout_Paid_On__c" in mappings("salesforce")["order"].sent_nulls


def test_a_wrong_type_in_a_common_frame_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="column date: expected a date"):
        write("xero", "invoice", {**INVOICE, "date": "soon"})


def test_a_column_that_staging_lacks_is_named() -> None:
    mapping = mappings("salesforce")["order"]
    with pytest.raises(KeyError, match="no column 'currency'"):
        compile_read(mapping, demo_link())(staged(mapping, ORDER).drop(columns="currency"))


def test_rates_of_the_other_direction_are_turned() -> None:
    def mapped(half: str) -> Mapping:
        field = FieldMapping.model_validate({"from": "rate", "rate": "base_per_foreign"})
        return Mapping.model_validate({
            "system": "x", "entity": "exchange_rate", "object": "R", "key": "Id",
            "staged": {"rate": {"path": "Rate", "type": "decimal"}}, half: {"rate": field},
        })  # fmt: skip

    reading = mapped("read")
    frame = staged(reading, {"id": "1", "rate": D("0.8")}, {"id": "2", "rate": D(0)})
    outcome = compile_read(reading, None)(frame)
    assert values(outcome.frame["rate"]) == [D("1.25")]
    assert [(item.source_id, item.reason) for item in outcome.rejections] == [("2", "no_rate")]
    written = compile_write(mapped("write"), None)(common({"rate": D("1.25")}))
    assert values(written.frame["rate"]) == [D("0.8")]


def test_whole_numbers_beside_nothing_stay_exact() -> None:
    rows = [
        {"order_id": str(at), "currency": "GBP", "invoice_total_minor": minor}
        for at, minor in enumerate([10**17 + 1, None])
    ]
    assert values(write("salesforce", "order", *rows).frame["Tieout_Invoice_Total__c"]) == [
        D("1000000000000000.01"),
        None,
    ]


def test_frame_keeps_an_index_that_repeats() -> None:
    mapping = mappings("salesforce")["order"]
    frame = staged(mapping, ORDER, {**ORDER, "id": "802", "currency": "XYZ"}, {**ORDER, "id": "803"})
    frame.index = pd.Index([5, 5, 5])
    outcome = compile_read(mapping, demo_link())(frame)
    assert values(outcome.frame["order_id"]) == [ORDER["id"], "803"]
    assert outcome.frame.index.tolist() == [5, 5]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["EUR", "JPY", "XYZ", None]), st.decimals(-99, 99, places=3)), max_size=12))
def test_rows_in_are_rows_out_plus_rejected_rows(rows: list[tuple[str | None, Decimal]]) -> None:
    given_rows = [{**ORDER, "id": str(number), "currency": currency, "freight": freight}
                  for number, (currency, freight) in enumerate(rows)]  # fmt: skip
    outcome = read("salesforce", "order", *given_rows)
    rejected = {item.source_id for item in outcome.rejections}
    kept = values(outcome.frame["order_id"])
    assert sorted([*rejected, *kept], key=int) == [str(number) for number in range(len(rows))]
    for number in kept:
        currency, freight = rows[int(number)]
        assert currency in ("EUR", "JPY")
        assert freight == freight.quantize(Decimal(1).scaleb(-2 if currency == "EUR" else 0))
