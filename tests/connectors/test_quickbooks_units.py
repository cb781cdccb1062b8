"""QuickBooks on a fake wire: pages that shift, deletions, batches as they are judged, SyncTokens, comparing, tokens."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.connectors.intuit import API, Ledger, Tokens, answered, batch, books, created, fault, spell
from tests.connectors.wires import NOW, answer, entity, item
from tieout.connectors import exact_json, pages_by_time
from tieout.connectors.base import Guard, Request
from tieout.connectors.oauth import MemoryRefresh, TokenShelf
from tieout.connectors.quickbooks import links, query, read
from tieout.connectors.quickbooks.compare import differences
from tieout.connectors.quickbooks.operations import SHAPES
from tieout.connectors.quickbooks.reasons import fault_in
from tieout.model.errors import (
    AuthenticationFailed,
    ConfigurationFault,
    Fatal,
    PermissionDenied,
    RateLimited,
    Retriable,
    VendorFault,
)

ITEMS = entity("quickbooks", "Item", "Id", query.STAMP, name=("Name", "text"))
INVOICES = entity("quickbooks", "Invoice", "Id", query.STAMP, total=("TotalAmt", "decimal"))
START = NOW - timedelta(days=1)


# ---- reading


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(read, "PAGE_SIZE", 10)
    monkeypatch.setattr(query.select, "__kwdefaults__", {"order": "", "start": 1, "most": 10})
    return 10


def stamps(*moments: datetime) -> dict[str, datetime]:
    return {f"{number:05d}": moment for number, moment in enumerate(moments)}


def read_all(ledger: Ledger, since: datetime | None = None, upto: datetime = NOW) -> list[str]:
    connector, _, _ = books(("GET", f"{API}/query", ledger))
    return [record["Id"] for page in connector.changed(ITEMS, since, upto) for record in page.records]


@pytest.mark.parametrize("apart", [1.0, 0.25, 0.05, 0.0], ids=["seconds", "quarters", "crowded", "all at once"])
def test_every_record_once_and_in_order(small_pages: int, apart: float) -> None:
    ledger = Ledger("Item", stamps(*(START + timedelta(seconds=apart * n) for n in range(45))))
    got = read_all(ledger)
    assert got == sorted(ledger.rows)


@pytest.mark.parametrize("at_call", [2, 3, 4])
def test_a_page_that_shifts_loses_nothing(small_pages: int, at_call: int) -> None:
    ledger = Ledger("Item", stamps(*(START + timedelta(seconds=n) for n in range(45))))

    def change(call: int) -> None:
        if call == at_call:
            for n in (0, 3, 7):
                ledger.rows[f"{n:05d}"] = NOW - timedelta(minutes=1)

    ledger.before = change
    got = read_all(ledger)
    assert set(got) == set(ledger.rows) and len(got) == 48


def test_a_crowded_second_is_read_by_id_until_it_stands_still(small_pages: int) -> None:
    ledger = Ledger("Item", stamps(*[START] * 35, *[START + timedelta(seconds=2)] * 12))

    def change(call: int) -> None:
        if call == 4:
            ledger.rows["00002"] = START + timedelta(hours=1)

    ledger.before = change
    got = read_all(ledger)
    assert set(got) == set(ledger.rows)
    ledger = Ledger("Item", stamps(*[START] * 25))
    ledger.before = lambda call: ledger.rows.update({f"9{call:04d}": START})
    with pytest.raises(Retriable, match="stand still"):
        read_all(ledger)
    assert ledger.calls > pages_by_time.MOST_PASSES


def test_the_window_is_exact_though_statements_name_whole_seconds() -> None:
    base = NOW - timedelta(hours=1)
    ledger = Ledger("Item", stamps(*(base + timedelta(milliseconds=100 * n) for n in range(-20, 20))))
    since, upto = base - timedelta(milliseconds=550), base + timedelta(milliseconds=800)
    assert read_all(ledger, since, upto) == [key for key, at in ledger.rows.items() if since <= at < upto]


def test_names_that_are_not_active_are_asked_for_as_well() -> None:
    connector, wire, _ = books(("GET", f"{API}/query", answered({})))
    list(connector.changed(ITEMS, None, NOW))
    statement = wire.asked[-1].url.params["query"]
    assert "Active IN (true, false)" in statement and wire.asked[-1].url.params["minorversion"] == "75"
    list(connector.fetch(INVOICES, ["12", "no'id"]))
    assert wire.asked[-1].url.params["query"].startswith("SELECT * FROM Invoice WHERE Id IN ('12') ")


def test_texts_are_quoted_so_that_no_name_can_end_them() -> None:
    assert query.quoted("O'Neil \\ co") == "'O\\'Neil \\\\ co'"


def test_days_are_read_by_the_same_rule(small_pages: int) -> None:
    rows = {f"{n:03d}": date(2024, 1, 1) + timedelta(days=n // 15) for n in range(40)}

    def handle(request: httpx.Request) -> httpx.Response:
        statement = request.url.params["query"]
        first, last = (date.fromisoformat(one) for one in re.findall(r"TxnDate [<>]= '([^']+)'", statement))
        start = int(statement.split("STARTPOSITION ")[1].split()[0]) - 1
        found = sorted((id_, on) for id_, on in rows.items() if first <= on <= last)
        if "ORDERBY TxnDate" in statement:
            found.sort(key=lambda row: row[1])
        page = [{"Id": id_, "TxnDate": on.isoformat(), "TotalAmt": 1} for id_, on in found[start : start + 10]]
        return answered({"Invoice": page})

    connector, _, _ = books(("GET", f"{API}/query", handle))
    pages = connector.dated(INVOICES, "TxnDate", date(2024, 1, 1), date(2024, 1, 2))
    got = [record["Id"] for page in pages for record in page.records]
    assert sorted(set(got)) == sorted(id_ for id_, on in rows.items() if on <= date(2024, 1, 2))
    with pytest.raises(ConfigurationFault, match="TxnDate"):
        list(connector.dated(ITEMS, "TxnDate", date(2024, 1, 1), date(2024, 1, 2)))


# ---- deletions


def captured(
    count: int, start: datetime, gone: set[int], step: timedelta = timedelta(seconds=1)
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for n in range(count):
        stamp = {"Id": str(n), "MetaData": {"LastUpdatedTime": spell(start + step * n)}}
        rows.append({**stamp, "status": "Deleted"} if n in gone else stamp)
    return rows


def cdc(rows: list[dict[str, Any]]) -> Any:
    def handle(request: httpx.Request) -> httpx.Response:
        since = datetime.fromisoformat(request.url.params["changedSince"])
        found = [row for row in rows if datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"]) >= since]
        return answer({"CDCResponse": [{"QueryResponse": [{"Invoice": found[:1000]}]}], "time": "x"})

    return handle


def test_deletions_come_from_change_data_capture_beyond_a_full_answer_too() -> None:
    rows = captured(2500, START, {3, 1700, 2499})
    connector, wire, _ = books(("GET", f"{API}/cdc", cdc(rows)))
    gone = [id_ for some in connector.deleted(INVOICES, START, NOW) for id_ in some]
    assert gone == ["3", "1700", "2499"]
    assert [r.url.params["entities"] for r in wire.calls("GET", f"{API}/cdc")] == ["Invoice"] * 3
    late = [id_ for some in connector.deleted(INVOICES, START, START + timedelta(seconds=3)) for id_ in some]
    assert late == [], "what was deleted at or after the window's end is the next one's"


def test_what_change_data_capture_cannot_tell_is_fatal() -> None:
    connector, _, _ = books(("GET", f"{API}/cdc", cdc(list(reversed(captured(1200, START, {5}))))))
    with pytest.raises(Fatal, match=r"30 days.*read the entity whole"):
        list(connector.deleted(INVOICES, NOW - timedelta(days=31), NOW))
    with pytest.raises(Fatal, match="more than 1000 changes"):
        list(connector.deleted(INVOICES, START, NOW))
    crowd = captured(1200, START, {5}, timedelta(0))
    connector, _, _ = books(("GET", f"{API}/cdc", cdc(crowd)))
    with pytest.raises(Fatal, match="more than 1000 changes"):
        list(connector.deleted(INVOICES, START, NOW))


# ---- what payments say


def line(amount: str, **linked: str) -> dict[str, Any]:
    pairs = [{"TxnId": id_, "TxnType": kind} for kind, id_ in linked.items()]
    return {"Amount": Decimal(amount), "LinkedTxn": pairs}


PAYMENTS = [
    {"Id": "p1", "TxnDate": "2024-02-01", "TotalAmt": Decimal("70"), "UnappliedAmt": Decimal("0"),
     "Line": [line("80", Invoice="1"), line("20", Invoice="2"), line("30", CreditMemo="c1")]},
    {"Id": "p2", "TxnDate": "2024-02-03", "TotalAmt": Decimal("0"), "UnappliedAmt": Decimal("0"),
     "Line": [line("5", Invoice="1"), line("5", CreditMemo="c1")]},
]  # fmt: skip


def test_money_and_credits_close_for_every_invoice_and_credit_memo() -> None:
    first, second = (links.with_parts(one) for one in PAYMENTS)
    assert first["Kind"] == "payment"
    assert first["Applications"] == [
        {"InvoiceId": "1", "Amount": Decimal("50")}, {"InvoiceId": "2", "Amount": Decimal("20")}
    ]  # fmt: skip
    assert (second["Kind"], second["Applications"]) == ("application", [])
    linked = [{"TxnId": one["Id"], "TxnType": "Payment"} for one in PAYMENTS]
    invoice = {"Id": "1", "TotalAmt": Decimal("85"), "Balance": Decimal("0"), "LinkedTxn": linked}
    asked: list[list[str]] = []

    def payments(ids: Any) -> Any:
        asked.append(list(ids))
        return PAYMENTS

    (made,) = links.with_links("Invoice", [invoice], payments)
    assert (made["Credited"], made["Paid"], made["PaidOn"], made["Standing"]) == (35, 50, "2024-02-03", "settled")
    memo = {"Id": "c1", "TotalAmt": Decimal("40"), "RemainingCredit": Decimal("5"), "LinkedTxn": linked}
    (made,) = links.with_links("CreditMemo", [memo], payments)
    assert [(one["InvoiceId"], one["Amount"]) for one in made["Allocations"]] == [("1", 30), ("1", 5)]
    assert (made["Standing"], made["Kind"]) == ("open", "credit")
    assert asked == [["p1", "p2"]] * 2


def test_a_voided_document_is_void_and_keeps_our_note() -> None:
    void = {"Id": "1", "TotalAmt": Decimal("0"), "Balance": Decimal("0"), "PrivateNote": "Voided - https://crm/801"}
    (made,) = links.with_links("Invoice", [void], lambda _: [])
    assert (made["Standing"], made["Note"], made.get("PaidOn")) == ("void", "https://crm/801", None)
    assert links.with_parts({"Id": "2", "TotalAmt": 0, "PrivateNote": "Voided"})["Standing"] == "void"


# ---- writing


def invoice(number: int, **more: Any) -> Request:
    body = {
        "DocNumber": f"INV-{number}",
        "CustomerRef": {"value": "7"},
        "TxnDate": "2024-05-01",
        "Line": [{"DetailType": "SalesItemLineDetail", "Amount": Decimal("10.10"),
                  "SalesItemLineDetail": {"ItemRef": {"value": "3"}, "Qty": 1, "UnitPrice": Decimal("10.10")}}],
        **more,
    }  # fmt: skip
    return item(number, "invoices.create", body, f"INV-{number}")


def test_each_item_of_a_batch_ends_on_its_own() -> None:
    connector, wire, _ = books(
        (
            "POST",
            f"{API}/batch",
            batch(
                created("Invoice", "101"),
                lambda _: fault(6140, "Duplicate Document Number Error", "INV-2"),
                lambda _: fault(6210, "Account Period Closed", "closing date"),
                lambda _: None,
                lambda _: fault(10000, "An application error has occurred", kind="SystemFault"),
                created("Invoice", "106", DocNumber="INV-OF-ANOTHER"),
            ),
        )
    )
    operation = connector.operation("invoices.create")
    answers = connector.send(operation, [invoice(n) for n in range(1, 7)])
    assert [(one.outcome, one.reason) for one in answers] == [
        ("applied", None), ("refused", "duplicate_number"), ("refused", "period_locked"), ("uncertain", "item_missing"),
        ("uncertain", "server_error"), ("uncertain", "unreadable_answer"),
    ]  # fmt: skip
    assert (answers[0].vendor_id, answers[0].number) == ("101", "INV-1")
    (sent,) = wire.calls("POST", f"{API}/batch")
    assert len(sent.url.params["requestid"]) <= 36
    assert b'"operation":"create","Invoice":' + invoice(1).body in sent.content, "the frozen bytes go as they are"
    assert (operation.guard, operation.batch) == (Guard.NATURAL_KEY, 30)


def test_the_same_batch_has_the_same_requestid_and_another_one_another() -> None:
    connector, wire, _ = books(("POST", f"{API}/batch", answer({"BatchItemResponse": []})))
    operation = connector.operation("invoices.create")
    for items in ([invoice(1), invoice(2)], [invoice(1), invoice(2)], [invoice(2), invoice(1)]):
        assert {one.outcome for one in connector.send(operation, items)} == {"uncertain"}
    first, again, other = (r.url.params["requestid"] for r in wire.calls("POST", f"{API}/batch"))
    assert first == again != other


def test_a_result_that_comes_twice_is_nobodys() -> None:
    def twice(request: httpx.Request) -> httpx.Response:
        one = {"bId": "1", "Invoice": {"Id": "1", "DocNumber": "INV-1"}}
        return answer({"BatchItemResponse": [one, one]})

    connector, _, _ = books(("POST", f"{API}/batch", twice))
    (got,) = connector.send(connector.operation("invoices.create"), [invoice(1)])
    assert (got.outcome, got.reason) == ("uncertain", "item_missing")


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (answer(fault(3001, "ThrottleExceeded", kind="THROTTLE"), 429), "throttled", "rate_limited"),
        (answer(fault(4000, "Error parsing"), 400), "refused", "batch_refused"),
        (answer(fault(2020, "Required param missing")), "refused", "batch_refused"),
        (answer({"x": 1}, 502), "uncertain", "server_error"),
        (httpx.Response(200, content=b"<html>"), "uncertain", "unreadable_answer"),
        (httpx.ReadTimeout("late"), "uncertain", "no_answer"),
        (httpx.ConnectError("away"), "throttled", "unreachable"),
    ],
)  # fmt: skip
def test_what_a_whole_answer_means_for_its_items(reply: Any, outcome: str, reason: str) -> None:
    connector, _, _ = books(("POST", f"{API}/batch", [reply]))
    answers = connector.send(connector.operation("invoices.create"), [invoice(1), invoice(2)])
    assert [(one.outcome, one.reason) for one in answers] == [(outcome, reason)] * 2
    if reason == "rate_limited":
        assert answers[0].retry_after == 60


def test_a_company_that_may_not_be_called_stops_everything() -> None:
    connector, _, _ = books(("POST", f"{API}/batch", answer(fault(3100, "ApplicationAuthorizationFailed"), 403)))
    with pytest.raises(PermissionDenied, match="realm_id"):
        connector.send(connector.operation("invoices.create"), [invoice(1)])


def there(obj: str, **tokens: str) -> httpx.Response:
    return answered({obj: [{"Id": id_.strip("_"), "SyncToken": token} for id_, token in tokens.items()]})


def test_an_update_goes_with_the_sync_token_of_now_and_comes_again_when_it_is_stale() -> None:
    results = batch(created("Customer", "5"), lambda _: fault(5010, "Stale Object Error"))
    connector, wire, _ = books(
        ("GET", f"{API}/query", there("Customer", _5="3", _6="0")), ("POST", f"{API}/batch", results)
    )
    operation = connector.operation("contacts.update")
    items = [item(n, operation.name, {"Id": str(n), "GivenName": "Ann"}) for n in (5, 6, 7)]
    answers = connector.send(operation, items)
    assert [(one.outcome, one.reason) for one in answers] == [
        ("applied", None), ("throttled", "stale"), ("refused", "not_found")
    ]  # fmt: skip
    (sent,) = wire.calls("POST", f"{API}/batch")
    first = exact_json.loads(sent.content)["BatchItemRequest"][0]["Customer"]
    assert first == {"Id": "5", "GivenName": "Ann", "SyncToken": "3", "sparse": True}
    assert len(wire.calls("GET", f"{API}/query")) == 1 and operation.repeatable


def test_voids_are_single_calls_and_done_only_when_the_answer_says_so() -> None:
    void = {"Id": "9", "TotalAmt": 0, "PrivateNote": "Voided", "SyncToken": "2"}
    connector, wire, _ = books(
        ("GET", f"{API}/query", there("Invoice", _9="1")),
        ("POST", f"{API}/invoice", [answer({"Invoice": void}), answer({"Invoice": {**void, "TotalAmt": 5}})]),
    )
    operation = connector.operation("invoices.void")
    request = item(9, operation.name, {"Id": "9"})
    assert [one.outcome for _ in range(2) for one in connector.send(operation, [request])] == ["applied", "uncertain"]
    sent = wire.calls("POST", f"{API}/invoice")[0]
    assert (sent.url.params["operation"], operation.batch) == ("void", 1)
    assert exact_json.loads(sent.content) == {"Id": "9", "SyncToken": "1"}


def test_a_payment_is_voided_by_an_update_and_a_credit_memo_is_deleted() -> None:
    gone = {"Id": "4", "status": "Deleted", "domain": "QBO"}
    connector, wire, _ = books(
        ("GET", f"{API}/query", [there("Payment", _8="0"), there("CreditMemo", _4="0")]),
        ("POST", f"{API}/payment", answer({"Payment": {"Id": "8", "TotalAmt": 0, "PrivateNote": "Voided"}})),
        ("POST", f"{API}/batch", batch(lambda _: {"CreditMemo": gone})),
    )
    (got,) = connector.send(connector.operation("payments.void"), [item(8, "payments.void", {"Id": "8"})])
    assert got.outcome == "applied"
    sent = wire.calls("POST", f"{API}/payment")[0]
    assert (sent.url.params["operation"], sent.url.params["include"]) == ("update", "void")
    operation = connector.operation("credit_notes.void")
    answers = connector.send(operation, [item(n, operation.name, {"Id": str(n)}) for n in (4, 5)])
    assert [one.outcome for one in answers] == ["applied", "applied"], "what is not there any more is deleted"
    items = exact_json.loads(wire.calls("POST", f"{API}/batch")[0].content)["BatchItemRequest"]
    assert [(one["operation"], one["CreditMemo"]["Id"]) for one in items] == [("delete", "4")]


# ---- looking up


def test_a_look_up_compares_what_was_sent_and_leaves_the_void_out() -> None:
    sent = exact_json.loads(invoice(1).body)
    same = {
        **sent,
        "Id": "1",
        "TotalAmt": Decimal("12.12"),
        "Line": [*sent["Line"], {"DetailType": "SubTotalLineDetail"}],
    }
    other = {**same, "Id": "2", "DocNumber": "inv-2", "TxnDate": "2024-05-02"}
    void = {**same, "Id": "3", "TotalAmt": 0, "PrivateNote": "Voided"}
    connector, wire, _ = books(("GET", f"{API}/query", answered({"Invoice": [same, other, void]})))
    found = connector.look_up(connector.operation("invoices.create"), [invoice(1), invoice(2), invoice(3)])
    assert [(one.vendor_id, one.differences) for one in found["doc-1"]] == [("1", ())]
    assert [one.differences for one in found["doc-2"]] == [
        (("DocNumber", "INV-2", "inv-2"), ("TxnDate", "2024-05-01", "2024-05-02"))
    ]
    assert found["doc-3"] == []
    assert "DocNumber IN ('INV-1', 'INV-2', 'INV-3')" in wire.asked[-1].url.params["query"]


def application(note: str | None = None) -> dict[str, Any]:
    body = {"CustomerRef": {"value": "7"}, "TotalAmt": 0, "TxnDate": "2024-05-01",
            "Line": [line("5.00", Invoice="1"), line("5.00", CreditMemo="2")]}  # fmt: skip
    return body | ({"PrivateNote": note} if note else {})


def test_an_application_is_found_by_customer_and_links() -> None:
    sent = application()
    turned = {**sent, "Id": "30", "Line": list(reversed(sent["Line"]))}
    foreign = {**turned, "Id": "31", "PrivateNote": "tieout:another"}
    apart = {**turned, "Id": "32", "Line": [line("5.00", Invoice="1"), line("5.00", CreditMemo="99")]}
    connector, wire, _ = books(("GET", f"{API}/query", answered({"Payment": [turned, foreign, apart]})))
    operation = connector.operation("credit_notes.allocate")
    (found,) = connector.look_up(operation, [item(1, operation.name, sent)])["doc-1"]
    assert (found.vendor_id, found.differences) == ("30", ())
    assert "CustomerRef IN ('7')" in wire.asked[-1].url.params["query"]


def test_what_became_of_a_void_or_a_deletion_is_seen() -> None:
    void = {"Id": "1", "TotalAmt": 0, "PrivateNote": "Voided"}
    connector, _, _ = books(
        ("GET", f"{API}/query", [answered({"Invoice": [void, {"Id": "2", "TotalAmt": 5}]}), answered({})])
    )
    operation = connector.operation("invoices.void")
    found = connector.look_up(operation, [item(n, operation.name, {"Id": str(n)}) for n in (1, 2)])
    assert found["doc-1"][0].differences == () and found["doc-2"][0].differences == (("standing", "void", "open"),)
    operation = connector.operation("credit_notes.void")
    (gone,) = connector.look_up(operation, [item(3, operation.name, {"Id": "3"})])["doc-3"]
    assert (gone.vendor_id, gone.differences) == ("3", ())


def test_a_customer_that_is_not_active_is_for_a_person() -> None:
    body = {"DisplayName": "Ann Ltd"}
    connector, _, _ = books(
        ("GET", f"{API}/query", answered({"Customer": [{"Id": "4", "DisplayName": "Ann Ltd", "Active": False}]}))
    )
    operation = connector.operation("contacts.create")
    (found,) = connector.look_up(operation, [item(1, operation.name, body)])["doc-1"]
    assert found.differences == (("Active", "true", "false"),)


@pytest.mark.parametrize(
    ("sent", "found", "differing"),
    [
        ({"ExchangeRate": Decimal("1.2345678901")}, {"ExchangeRate": Decimal("1.234568")}, []),
        ({"ExchangeRate": Decimal("1.23")}, {"ExchangeRate": Decimal("1.24")}, ["ExchangeRate"]),
        ({"CustomerRef": {"value": "1"}}, {"CustomerRef": {"value": "1", "name": "Ann"}}, []),
        ({"GlobalTaxCalculation": "TaxExcluded"}, {}, []),
        ({"BillAddr": {"City": "Bonn"}}, {}, ["BillAddr.City"]),
        ({"Line": [{"Amount": 1}, {"Amount": 2}]}, {"Line": [{"Amount": 2}, {"Amount": 1}]},
         ["Line[1].Amount", "Line[2].Amount"]),
        ({"Line": [{"Amount": Decimal("1.00")}]}, {"Line": []}, ["Line"]),
    ],
)  # fmt: skip
def test_only_what_was_sent_is_compared(sent: Any, found: Any, differing: list[str]) -> None:
    assert [one[0] for one in differences(sent, found)] == differing


# ---- faults


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (6140, "Duplicate Document Number Error", "duplicate_number"),
        (6240, "Duplicate Name Exists Error", "duplicate_name"),
        (6210, "Account Period Closed, Cannot Update Through Services API", "period_locked"),
        (6070, "Amount calculation incorrect in the request.", "total_mismatch"),
        (5010, "Stale Object Error", "stale"),
        (610, "Object Not Found", "not_found"),
        (2020, "Required param missing, need to supply the required value", "missing_field"),
        (2500, "Invalid Reference Id : Customers element id 99 not found", "contact_not_found"),
        (2500, "Invalid Reference Id : Something element id 99 not found", "invalid_reference"),
        (6000, "A business validation error has occurred: Select a tax code", "invalid_tax_type"),
        (9999, "Something about a customer", "validation"),
    ],
)
def test_intuits_codes_become_our_reasons(code: int, message: str, reason: str) -> None:
    seen = fault_in(fault(code, message))
    assert seen is not None and (seen.reason, seen.code) == (reason, code)


def test_a_fault_inside_a_200_is_no_empty_page() -> None:
    connector, _, _ = books(("GET", f"{API}/query", answer(fault(4000, "Error parsing query"))))
    with pytest.raises(VendorFault, match="4000: Error parsing query"):
        list(connector.changed(ITEMS, None, NOW))


def test_reads_wait_a_minute_when_intuit_asks_to() -> None:
    limit = answer(fault(3001, "ThrottleExceeded"), 429)
    connector, _, time = books(("GET", f"{API}/query", [limit, answered({})]))
    list(connector.changed(ITEMS, None, NOW))
    assert 59 < sum(time.naps) < 70 and connector.counters.throttled == 1
    connector, _, _ = books(("GET", f"{API}/query", limit))
    with pytest.raises(RateLimited, match="ThrottleExceeded"):
        list(connector.changed(ITEMS, None, NOW))


def test_no_more_than_ten_calls_begin_in_a_second_nor_forty_batches_in_a_minute() -> None:
    connector, wire, time = books(
        ("GET", f"{API}/query", answered({})), ("POST", f"{API}/batch", answer({"BatchItemResponse": []}))
    )
    for _ in range(30):
        list(connector.changed(ITEMS, None, NOW))
    assert 2.2 <= sum(time.naps) < 4
    time.seconds += 120
    begun = time.seconds
    sent = 0
    while time.seconds < begun + 55:
        answers = connector.send(connector.operation("invoices.create"), [invoice(1)])
        sent += answers[0].outcome != "throttled"
        time.seconds += 0.2 if answers[0].outcome != "throttled" else 1
    assert sent <= 40 and sent == len(wire.calls("POST", f"{API}/batch"))


# ---- tokens


def test_the_next_refresh_token_is_kept_before_the_access_token_is_used() -> None:
    kept = MemoryRefresh()
    at_use: list[list[str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        at_use.append(list(kept.kept))
        return answered({})

    secrets: list[str] = []
    tokens = Tokens()
    connector, wire, time = books(("GET", f"{API}/query", handle), tokens=tokens, shelf=TokenShelf(refresh=kept))
    connector._session.raw.tokens._on_secret = secrets.append
    list(connector.changed(ITEMS, None, NOW))
    assert at_use == [["refresh-1"]] and secrets == ["refresh-1", "t-1"]
    time.seconds += 3600
    list(connector.changed(ITEMS, None, NOW))
    assert kept.kept == ["refresh-2", "refresh-1"] and tokens.uses == 2
    form = wire.calls("POST", "/oauth2")[-1]
    assert form.headers["authorization"].startswith("Basic ") and b"s3cret" not in form.content


@pytest.mark.parametrize("grace", [0, 1])
def test_an_answer_that_was_lost_is_survived_as_far_as_intuit_allows(grace: int) -> None:
    tokens = Tokens(grace)
    tokens.lose_answer = True
    connector, _, _ = books(("GET", f"{API}/query", answered({})), tokens=tokens)
    if grace:
        list(connector.changed(ITEMS, None, NOW))
        assert tokens.uses == 2
    else:
        with pytest.raises(AuthenticationFailed, match=r"administrator.*join the app again.*README"):
            list(connector.changed(ITEMS, None, NOW))


@pytest.mark.parametrize(
    ("extra", "message"),
    [({"realm_id": "company"}, "digits only"), ({"refresh_token": ""}, "the refresh token is empty")],
)
def test_a_form_that_is_not_filled_in_is_said_so(extra: dict[str, str], message: str) -> None:
    from tieout.connectors.registry import connect
    from tieout.model.connection import Connection

    fields = {"realm_id": "1", "refresh_token": "x", **extra}
    with pytest.raises(ConfigurationFault, match=message):
        connect(Connection("q", "quickbooks", "https://quickbooks.api.intuit.com", "id", "secret", fields))


def test_shapes_are_as_their_bodies() -> None:
    assert {shape.act for shape in SHAPES.values()} == {"create", "update", "delete", "void"}
    connector, _, _ = books()
    for name, shape in SHAPES.items():
        operation = connector.operation(name)
        assert operation.creates == (shape.act == "create") != operation.repeatable
    with pytest.raises(ConfigurationFault, match=r"payments\.create"):
        connector.operation("payments.create")
