"""The table CRM field | finance field | transformation."""

from __future__ import annotations

from tests.unit.mapping.frames import mappings
from tieout.mapping.matrix import Row, as_markdown, matrix

STEPS = (
    ("order.number", "invoice.number", "by the link's pattern"),
    ("order_line.unit_price", "invoice_line.unit_price", "the accepted quote's where there is one"),
    ("invoice.status", "order.invoice_status", "once confirmed"),
)


def table() -> list[Row]:
    return matrix(mappings("salesforce"), mappings("xero"), STEPS)


def found(finance_object: str, finance_field: str, direction: str = "to_finance") -> list[tuple[str, str, str, str]]:
    return [
        (row.crm_object, row.crm_field, row.transformation, row.master)
        for row in table()
        if (row.finance_object, row.finance_field, row.direction) == (finance_object, finance_field, direction)
    ]


def test_same_entity_on_both_sides_is_joined_over_the_common_model() -> None:
    assert found("Contacts", "Addresses[0].City") == [
        ("Account", "BillingCity", "collapse_spaces; at most 255 characters, longer is cut and noted", "crm")
    ]


def test_a_scenarios_step_joins_two_entities() -> None:
    assert found("Invoices", "InvoiceNumber") == [
        ("Order", "OrderNumber", "by the link's pattern; at most 255 characters, longer is refused", "")
    ]


def test_a_constant_has_no_crm_field() -> None:
    assert found("Invoices", "Type") == [("", "", "always ACCREC", "")]


def test_write_back_runs_the_other_way() -> None:
    assert (
        "Order",
        "Tieout_Invoice_Status__c",
        "once confirmed; at most 40 characters, longer is refused",
        "",
    ) in found("Invoices", "Status", "to_crm")


def test_every_written_field_has_a_line() -> None:
    lines = {(row.finance_object, row.finance_field) for row in table() if row.direction == "to_finance"}
    for mapping in mappings("xero").values():
        for native in mapping.write:
            assert (mapping.object, native) in lines


def test_markdown_has_a_table_for_each_direction() -> None:
    text = as_markdown(table())
    assert text.count("| CRM object | CRM field | finance object |") == 2
    assert "| Order | OrderNumber | Invoices | InvoiceNumber | by the link's pattern" in text
    assert as_markdown([]) == ""
    assert "a\\|b" in as_markdown([Row("A", "a|b", "B", "c", "", "")])
