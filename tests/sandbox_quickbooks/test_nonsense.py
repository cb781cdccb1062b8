"""Whatever is sent, the answer is Intuit's: never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox_quickbooks.conftest import QuickBooks, line

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
DOCUMENT = {
    "CustomerRef": {"value": "1"}, "Line": [line()], "TxnDate": "2026-03-01", "DueDate": "2026-03-31", "DocNumber": "1",
    "CurrencyRef": {"value": "USD"}, "ExchangeRate": 1, "TxnTaxDetail": {"TotalTax": 0}, "PrivateNote": "n",
    "GlobalTaxCalculation": "TaxExcluded", "CustomerMemo": {"value": "m"}, "SyncToken": "0", "sparse": True, "Id": "1",
}  # fmt: skip
#: Entity -> a body whose fields become nonsense one by one, and where they stand.
BODIES: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    "customer": ("customer", {"DisplayName": "A", "CurrencyRef": {"value": "USD"}, "BillAddr": {"Line1": "x"},
                              "PrimaryEmailAddr": {"Address": "a@b.cd"}, "Active": True,
                              "ParentRef": {"value": "1"}}, ()),
    "item": ("item", {"Name": "A", "Type": "Inventory", "QtyOnHand": 1, "InvStartDate": "2026-01-01", "UnitPrice": 1,
                      "TrackQtyOnHand": True, "IncomeAccountRef": {"value": "1"}, "AssetAccountRef": {"value": "2"},
                      "ExpenseAccountRef": {"value": "3"}, "Sku": "S"}, ()),
    "invoice": ("invoice", DOCUMENT, ()),
    "line": ("invoice", DOCUMENT, ("Line", 0)),
    "detail": ("invoice", DOCUMENT, ("Line", 0, "SalesItemLineDetail")),
    "tax": ("invoice", DOCUMENT, ("TxnTaxDetail",)),
    "creditmemo": ("creditmemo", DOCUMENT, ()),
    "payment": ("payment", {"CustomerRef": {"value": "1"}, "TotalAmt": 1, "TxnDate": "2026-03-01", "Line": [
        {"Amount": 1, "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]}]}, ()),
    "payment line": ("payment", {"CustomerRef": {"value": "1"}, "TotalAmt": 1, "Line": [
        {"Amount": 1, "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]}]}, ("Line", 0)),
    "batch": ("batch", {"BatchItemRequest": [{"bId": "1", "operation": "create", "Customer": {"DisplayName": "B"}}]},
              ("BatchItemRequest", 0)),
}  # fmt: skip
QUERIES = (
    "select", "select * from", "select * from Nothing", "select * from Invoice where",
    "select * from Invoice where Id",
    "select * from Invoice where Id = 1 or Id = 2", "select count(*) from", "select * from Invoice startposition x",
    "select * from Invoice maxresults 5000", "select Nope from Invoice", "select * from Invoice where Nope = '1'", "'",
    "select * from Invoice where TxnDate > 'soon'", "delete from Invoice", "select * from Customer where Id in ()",
    "\x00", "select * from Invoice where Balance > 'NaN'", "select * from Invoice where TotalAmt = 'sNaN'",
    f"select * from Invoice where Id = '{'9' * 5000}'", f"select * from Invoice startposition {'9' * 5000}",
)  # fmt: skip


def inside(body: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        body = body[step]
    return body


def is_intuits(us: QuickBooks, method: str, path: str, **how: Any) -> None:
    answer = us.http.request(method, path, **how)
    assert answer.status_code < 500, answer.text
    assert isinstance(answer.json(), dict)


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_each_field_of_a_body_may_be_anything(us: QuickBooks, name: str) -> None:
    path, body, place = BODIES[name]
    us.customer()

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(field=st.sampled_from(sorted(inside(body, place))), value=VALUES)
    def sent(field: str, value: Any) -> None:
        changed = json.loads(json.dumps(body, default=str))
        inside(changed, place)[field] = value
        is_intuits(us, "POST", path, content=json.dumps(changed))

    sent()


@pytest.mark.slow
def test_the_door_for_raw_records_refuses_nonsense(us: QuickBooks) -> None:
    url = f"{us.sandbox.url}/quickbooks/_sandbox/raw"
    whole = {"TxnDate": "2026-03-01", "MetaData": dict.fromkeys(("CreateTime", "LastUpdatedTime"), "2026-03-01T00:00Z")}
    naive = dict.fromkeys(whole["MetaData"], "2026-03-01T00:00")
    one_wrong: list[dict[str, Any]] = [{"TxnDate": 3}, {"MetaData": naive}, {"MetaData": 3}, {"DocNumber": 5},
                                       {"Id": "x"}, {"Id": "9" * 5000}]  # fmt: skip
    nonsense = [json.dumps([{**whole, **wrong}]).encode() for wrong in one_wrong]
    for content in (b"", b"{", b"3", b"[3]", b"\xff", b"[{}]", b"[" * 5000, *nonsense):
        assert us.http.post(f"{url}/Invoice", content=content).status_code == 400, content[:80]
    assert us.http.post(f"{url}/Secrets", content=b"[]").status_code == 404
    assert us.query("select count(*) from Invoice") == {"totalCount": 0}
    assert us.http.post(f"{url}/Invoice", content=json.dumps([whole])).status_code == 200
    assert us.query("select count(*) from Invoice") == {"totalCount": 1}


@pytest.mark.slow
def test_what_is_no_request_is_refused_in_intuits_words(us: QuickBooks) -> None:
    for content in (b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b'{"a":' * 2000, b"NaN"):
        for path in ("invoice", "batch", "customer?operation=update", "payment?operation=void", "nothing"):
            is_intuits(us, "POST", path, content=content)
    for text in QUERIES:
        is_intuits(us, "GET", "query", params={"query": text})
        is_intuits(us, "POST", "batch", content=json.dumps({"BatchItemRequest": [{"bId": "1", "Query": text}]}))
    for path in ("invoice/999999", "invoice/x", "nothing/1", "cdc", "cdc?entities=Nope&changedSince=2026-01-01",
                 "cdc?entities=Invoice&changedSince=soon", "reports/Nothing", "reports/TrialBalance?end_date=soon",
                 "invoice/1?minorversion=1", "query", "companyinfo/1"):  # fmt: skip
        is_intuits(us, "GET", path)
