"""A record that is read as a row for each element of one of its lists, and the questions SQL asks of it."""

from __future__ import annotations

import json

import pytest

from tests.unit.mapping.frames import demo_link, mappings, staged
from tieout.mapping.compile import compile_read
from tieout.model.errors import ConfigurationFault

PAYMENT = mappings("quickbooks")["payment"]
XERO = mappings("xero")["payment"]


def row(id_: str, applications: list[dict[str, object]] | None) -> dict[str, object]:
    return {
        "id": id_, "kind": "payment", "standing": "settled", "currency_ref": "USD", "total": "30",
        "applications": None if applications is None else json.dumps(applications),
    }  # fmt: skip


def test_a_payment_of_two_invoices_is_two_rows_and_one_of_none_stays() -> None:
    frame = staged(PAYMENT, row("7", [{"InvoiceId": "1", "Amount": 10.10}, {"InvoiceId": "2", "Amount": 19.90}]),
                   row("8", []), row("9", None))  # fmt: skip
    outcome = compile_read(PAYMENT, demo_link())(frame)
    assert outcome.rejections == []
    found = outcome.frame[["payment_id", "invoice_id", "amount_minor"]].astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == [
        ["7:1", "1", 1010], ["7:2", "2", 1990], ["8", None, 0], ["9", None, 0]
    ]  # fmt: skip


def test_sql_asks_for_the_ids_of_a_list_a_column_or_nothing() -> None:
    assert "applications" in PAYMENT.ids_sql("invoice_id") and "'{InvoiceId}'" in PAYMENT.ids_sql("invoice_id")
    assert XERO.ids_sql("invoice_id") == "array[invoice_id]"
    assert "{CreditMemoId}" in PAYMENT.ids_sql("credit_memo_id")
    assert PAYMENT.ids_sql("account_code") == "array[]::text[]"


def test_words_of_a_standing_are_the_vendors() -> None:
    assert mappings("xero")["invoice"].words("standing", "draft") == ["DRAFT", "SUBMITTED"]
    assert mappings("quickbooks")["invoice"].words("standing", "open", "void") == ["open", "void"]
    with pytest.raises(ConfigurationFault, match="expected one column, as it is or by lookup"):
        mappings("xero")["invoice"].words("subtotal_minor", "1")
