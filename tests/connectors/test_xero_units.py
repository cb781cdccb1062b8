"""Xero on a fake wire: pages that shift, answers as they are judged, comparing what was sent with what is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.connectors.wires import NOW, Time, Wire, answer, connection, entity, item
from tieout.connectors.base import Answer, Request
from tieout.connectors.outside import Outside
from tieout.connectors.xero import dates, read
from tieout.connectors.xero.compare import differences
from tieout.connectors.xero.connector import XeroConnector
from tieout.connectors.xero.reasons import reason_of
from tieout.model.errors import PermissionDenied, RateLimited, Retriable, VendorFault

API = "/api.xro/2.0"
SIGN_IN = ("POST", "/connect/token", answer({"access_token": "t", "expires_in": 1800}))
INVOICES = entity("xero", "Invoices", "InvoiceID", "UpdatedDateUTC", total=("Total", "decimal"))
A, B, C = (f"{n}0000000-0000-0000-0000-000000000000" for n in "abc")


def books(*rules: tuple[str, str, Any], **extra: Any) -> tuple[XeroConnector, Wire, Time]:
    wire, time = Wire(SIGN_IN, *rules), Time()
    conn = connection("xero", "https://api.xero.com", tenant_id="t-1", **extra)
    return XeroConnector(conn, Outside(wire.transport, time.clock)), wire, time


def ms(moment: datetime) -> str:
    return f"/Date({int(moment.timestamp() * 1000)}+0000)/"


# ---- reading


class Ledger:
    """Invoices that are paged as Xero pages: sorted, by number, by whole seconds. `before` may change them."""

    def __init__(self, stamps: list[datetime]) -> None:
        self.rows = {f"inv-{n:05d}": stamp for n, stamp in enumerate(stamps)}
        self.calls = 0
        self.before: Callable[[int], None] = lambda _: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        self.before(self.calls)
        since = request.headers.get("if-modified-since")
        floor = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else datetime.min.replace(tzinfo=UTC)
        rows = sorted(((stamp, key) for key, stamp in self.rows.items() if stamp >= floor))
        page, size = int(request.url.params["page"]), int(request.url.params["pageSize"])
        some = rows[(page - 1) * size : page * size]
        return answer({"Invoices": [{"InvoiceID": key, "UpdatedDateUTC": ms(stamp)} for stamp, key in some]})


def read_all(ledger: Ledger, since: datetime | None = None, upto: datetime = NOW) -> list[str]:
    connector, _, _ = books(("GET", f"{API}/Invoices", ledger))
    return [record["InvoiceID"] for page in connector.changed(INVOICES, since, upto) for record in page.records]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(read, "PAGE_SIZE", 10)
    return 10


def test_every_record_once_and_in_order(small_pages: int) -> None:
    start = NOW - timedelta(days=1)
    ledger = Ledger([start + timedelta(seconds=n, milliseconds=n) for n in range(35)])
    assert read_all(ledger) == sorted(ledger.rows)
    assert ledger.calls <= 5


def test_equal_timestamps_over_a_page_border(small_pages: int) -> None:
    start = NOW - timedelta(days=1)
    ledger = Ledger([start + timedelta(seconds=n // 4) for n in range(35)])
    assert read_all(ledger) == sorted(ledger.rows)


def test_more_records_in_one_second_than_a_page_holds(small_pages: int) -> None:
    start = NOW - timedelta(days=1)
    stamps = [start] * 3 + [start + timedelta(seconds=5)] * 37 + [start + timedelta(seconds=6)] * 13
    ledger = Ledger(stamps)
    got = read_all(ledger)
    assert sorted(got) == sorted(ledger.rows) and len(got) == len(set(got))
    ledger = Ledger([start] * 40)
    assert sorted(read_all(ledger)) == sorted(ledger.rows)


@pytest.mark.parametrize("at_call", [2, 3, 4])
def test_a_page_that_shifts_loses_nothing(small_pages: int, at_call: int) -> None:
    start = NOW - timedelta(days=1)
    ledger = Ledger([start + timedelta(seconds=n) for n in range(45)])

    def change(call: int) -> None:
        if call == at_call:  # three records that were read already move to the end
            for n in (0, 3, 7):
                ledger.rows[f"inv-{n:05d}"] = NOW - timedelta(minutes=1)

    ledger.before = change
    got = read_all(ledger)
    assert set(got) == set(ledger.rows)
    assert len(got) == 45 + 3  # those that changed come again, as they are now


def test_a_crowded_second_that_shifts_loses_nothing(small_pages: int) -> None:
    start = NOW - timedelta(days=1)
    ledger = Ledger([start] * 35)

    def change(call: int) -> None:
        if call == 4:
            ledger.rows["inv-00002"] = start + timedelta(hours=1)

    ledger.before = change
    assert set(read_all(ledger)) == set(ledger.rows)


def test_a_second_that_never_stands_still_is_retriable(small_pages: int) -> None:
    start = NOW - timedelta(days=1)
    ledger = Ledger([start] * 25)
    ledger.before = lambda call: ledger.rows.update({f"new-{call:03d}": start})
    with pytest.raises(Retriable, match="stand still"):
        read_all(ledger)


def test_the_window_is_exact_though_xero_knows_whole_seconds_only() -> None:
    base = NOW - timedelta(hours=1)
    ledger = Ledger([base + timedelta(milliseconds=100 * n) for n in range(-20, 20)])
    since, upto = base - timedelta(milliseconds=550), base + timedelta(milliseconds=800)
    inside = [key for key, stamp in ledger.rows.items() if since <= stamp < upto]
    assert read_all(ledger, since, upto) == inside


def test_entities_without_pages_or_modification_times() -> None:
    rows = [{"ItemID": n, "UpdatedDateUTC": ms(NOW - timedelta(hours=n))} for n in (1, 3, 2)]
    connector, wire, _ = books(
        ("GET", f"{API}/Items", answer({"Items": rows})),
        ("GET", f"{API}/Organisation", answer({"Organisations": [{"OrganisationID": A}]})),
    )
    items = entity("xero", "Items", "ItemID", "UpdatedDateUTC")
    (page,) = connector.changed(items, NOW - timedelta(hours=2, minutes=30), NOW)
    assert [record["ItemID"] for record in page.records] == [2, 1]
    assert wire.asked[-1].headers["if-modified-since"] == "2024-05-01T09:29:59"
    (page,) = connector.changed(entity("xero", "Organisation", "OrganisationID", None), None, NOW)
    assert [record["OrganisationID"] for record in page.records] == [A]


def test_a_record_without_its_time_is_a_vendor_fault() -> None:
    connector, _, _ = books(("GET", f"{API}/Invoices", answer({"Invoices": [{"InvoiceID": A}]})))
    with pytest.raises(VendorFault, match="UpdatedDateUTC"):
        list(connector.changed(INVOICES, None, NOW))


def test_fetching_by_ids_in_urls_that_are_short_enough() -> None:
    connector, wire, _ = books(("GET", f"{API}/", answer({"Invoices": [{"InvoiceID": A}], "Payments": []})))
    ids = [f"{n:08d}-0000-0000-0000-000000000000" for n in range(120)]
    list(connector.fetch(INVOICES, ids))
    asked = [parse_qs(r.url.query.decode())["IDs"][0].split(",") for r in wire.calls("GET", f"{API}/Invoices")]
    assert [one for some in asked for one in some] == ids
    assert all(len(str(r.url)) < 2048 for r in wire.asked)
    list(connector.fetch(entity("xero", "Payments", "PaymentID", "UpdatedDateUTC"), [A, B]))
    assert wire.asked[-1].url.params["where"] == f'PaymentID==Guid("{A}") OR PaymentID==Guid("{B}")'


def test_the_minutes_allowance_is_waited_for_by_reads_and_handed_back_by_writes() -> None:
    low = answer({"Organisations": []}, headers={"X-MinLimit-Remaining": "0", "X-DayLimit-Remaining": "4000"})
    connector, wire, time = books(("GET", f"{API}/Organisation", low))
    org = entity("xero", "Organisation", "OrganisationID", None)
    list(connector.changed(org, None, NOW))
    list(connector.changed(org, None, NOW))
    assert time.naps == [60.4], "a minute, and what calls may differ in by their way"
    answers = connector.send(connector.operation("invoices.create"), [invoice(1)])
    assert (answers[0].outcome, answers[0].retry_after) == ("throttled", 60.4)
    assert wire.calls("PUT", API) == []


def test_a_daily_limit_is_handed_up() -> None:
    limit = answer({}, 429, {"Retry-After": "40000", "X-Rate-Limit-Problem": "day"})
    connector, _, _ = books(("GET", f"{API}/Invoices", limit))
    with pytest.raises(RateLimited, match="day") as caught:
        list(connector.changed(INVOICES, None, NOW))
    assert caught.value.retry_after == 40000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Date(1539993600000+0000)/", datetime(2018, 10, 20, tzinfo=UTC)),
        ("/Date(1541176290160+1300)/", datetime(2018, 11, 2, 16, 31, 30, 160000, tzinfo=UTC)),
        ("/Date(-86400000)/", datetime(1969, 12, 31, tzinfo=UTC)),
        ("2018-10-20T00:00:00", datetime(2018, 10, 20, tzinfo=UTC)),
        ("soon", None),
        (None, None),
        ("/Date(999999999999999)/", None),
    ],
)
def test_dates(text: Any, expected: datetime | None) -> None:
    assert dates.instant(text) == expected


# ---- writing


def invoice(number: int, **more: Any) -> Request:
    body = {"Type": "ACCREC", "InvoiceNumber": f"INV-{number}", "Contact": {"ContactID": A}, **more}
    return item(number, "invoices.create", body, f"INV-{number}")


def made(number: int, vendor_id: str = B, **more: Any) -> dict[str, Any]:
    return {"InvoiceID": vendor_id, "InvoiceNumber": f"INV-{number}", "Type": "ACCREC", "Status": "AUTHORISED", **more}


def failed(number: int, *messages: str) -> dict[str, Any]:
    errors = [{"Message": message} for message in messages]
    return made(number, C, HasErrors=True, StatusAttributeString="ERROR", ValidationErrors=errors)


def send(reply: Any, *requests: Request) -> tuple[list[Answer], Wire]:
    if not isinstance(reply, httpx.Response | Exception | list):
        reply = answer(reply)
    connector, wire, _ = books(("PUT", API, reply), ("POST", API, reply))
    return list(connector.send(connector.operation(requests[0].operation), requests)), wire


def outcomes(answers: list[Answer]) -> list[tuple[str, str | None]]:
    return [(a.outcome, a.reason) for a in answers]


def test_a_batch_is_one_request_with_the_frozen_bytes() -> None:
    body = b'{"InvoiceNumber":"INV-1","LineItems":[{"UnitAmount":1000000000000000.1234}]}'
    answers, wire = send({"Invoices": [made(1)]}, item(1, "invoices.create", body))
    (sent,) = wire.calls("PUT", f"{API}/Invoices")
    assert sent.content == b'{"Invoices":[' + body + b"]}"
    assert dict(sent.url.params) == {"summarizeErrors": "false", "unitdp": "4"}
    assert sent.headers["xero-tenant-id"] == "t-1"
    assert (answers[0].outcome, answers[0].vendor_id, answers[0].number) == ("applied", B, "INV-1")


def test_the_same_items_have_the_same_idempotency_key() -> None:
    def key(*requests: Request) -> str:
        _, wire = send({"Invoices": []}, *requests)
        found: str = wire.asked[-1].headers["idempotency-key"]
        return found

    assert key(invoice(1), invoice(2)) == key(invoice(1), invoice(2))
    assert len({key(invoice(1), invoice(2)), key(invoice(2), invoice(1)), key(invoice(1))}) == 3
    assert len(key(invoice(1))) == 64


def test_each_element_ends_on_its_own_whatever_its_place() -> None:
    reply = {"Invoices": [made(3, C), failed(1, "Invoice # must be unique."), made(2, B)]}
    answers, _ = send(reply, invoice(1), invoice(2), invoice(3))
    assert outcomes(answers) == [("refused", "duplicate_number"), ("applied", None), ("applied", None)]
    assert [a.vendor_id for a in answers] == [None, B, C]


def test_an_element_that_is_missing_or_doubled_is_uncertain() -> None:
    answers, _ = send({"Invoices": [made(2)]}, invoice(1), invoice(2))
    assert outcomes(answers) == [("uncertain", "item_missing"), ("applied", None)]
    answers, _ = send({"Invoices": [made(2, B), made(2, B)]}, invoice(1), invoice(2))
    assert outcomes(answers) == [("uncertain", "item_missing"), ("applied", None)]
    answers, _ = send({"Invoices": [made(2, B), made(2, C)]}, invoice(1), invoice(2))
    assert outcomes(answers) == [("uncertain", "item_missing")] * 2


def test_an_element_without_its_key_counts_by_place_only_among_all() -> None:
    bare = {"HasErrors": True, "ValidationErrors": [{"Message": "Invoice # must be unique."}]}
    answers, _ = send({"Invoices": [bare, made(2)]}, invoice(1), invoice(2))
    assert outcomes(answers) == [("refused", "duplicate_number"), ("applied", None)]
    answers, _ = send({"Invoices": [bare]}, invoice(1), invoice(2))
    assert outcomes(answers) == [("uncertain", "item_missing")] * 2


@pytest.mark.parametrize(
    "reply",
    [
        answer({}, 500),
        answer({}, 503),
        answer({"Invoices": {}}),
        httpx.Response(200, content=b'{"Invoices": [{"Inv'),
        httpx.Response(200, content=b"<html/>"),
        httpx.ReadTimeout("late"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("cut"),
        {"Invoices": [made(1, "00000000-0000-0000-0000-000000000000")]},
    ],
)
def test_what_is_not_definite_is_uncertain_and_sent_once(reply: Any) -> None:
    answers, wire = send(reply, invoice(1))
    assert [a.outcome for a in answers] == ["uncertain"]
    assert len(wire.calls("PUT", API)) == 1


def test_too_many_calls_are_not_applied() -> None:
    answers, _ = send(answer({}, 429, {"Retry-After": "17"}), invoice(1), invoice(2))
    assert [(a.outcome, a.retry_after) for a in answers] == [("throttled", 17.0)] * 2


def test_the_400_of_a_batch_refuses_those_that_it_names() -> None:
    body = {"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred"}
    locked = "The document date cannot be before the period lock date, currently set at 31-Mar-2024"
    answers, _ = send(answer({**body, "Elements": [failed(2, locked)]}, 400), invoice(1), invoice(2))
    assert outcomes(answers) == [("uncertain", "item_missing"), ("refused", "period_locked")]
    answers, _ = send(answer({**body, "Elements": [{"ValidationErrors": [{"Message": locked}]}]}, 400), invoice(1))
    assert outcomes(answers) == [("refused", "period_locked")]
    bad = answer({"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": "Invalid Json data"}, 400)
    answers, _ = send(bad, invoice(1), invoice(2))
    assert outcomes(answers) == [("refused", "batch_refused")] * 2
    answers, _ = send(bad, invoice(1))
    assert outcomes(answers) == [("refused", "validation")]


def test_a_key_that_was_used_for_other_bytes_leaves_it_open() -> None:
    text = "Idempotency Key: k is used with a different request."
    answers, _ = send(answer({"Type": "ValidationException", "Message": text}, 400), invoice(1))
    assert outcomes(answers) == [("uncertain", "idempotency_mismatch")]


def test_missing_scopes_are_raised() -> None:
    with pytest.raises(PermissionDenied, match="tenant_id"):
        send(answer({"Title": "Forbidden", "Status": 403, "Detail": "AuthorizationUnsuccessful"}, 403), invoice(1))


def test_a_void_is_done_when_the_answer_says_so() -> None:
    request = item(1, "invoices.void", {"InvoiceID": B.upper(), "Status": "VOIDED"})
    answers, wire = send({"Invoices": [made(1, B) | {"Status": "VOIDED"}]}, request)
    assert outcomes(answers) == [("applied", None)] and wire.asked[-1].method == "POST"
    answers, _ = send({"Invoices": [made(1, B)]}, request)
    assert outcomes(answers) == [("uncertain", "unreadable_answer")]


def test_an_allocation_goes_to_its_credit_note() -> None:
    body = {"CreditNote": {"CreditNoteID": A}, "Invoice": {"InvoiceID": B}, "Amount": Decimal("5.00")}
    reply = {
        "Allocations": [{"Amount": Decimal("5.0"), "Invoice": {"InvoiceID": B}, "CreditNote": {"CreditNoteID": A}}]
    }
    answers, wire = send(reply, item(1, "credit_notes.allocate", body))
    assert wire.asked[-1].url.path == f"{API}/CreditNotes/{A}/Allocations"
    assert (answers[0].outcome, answers[0].vendor_id) == ("applied", f"{A}/{B}")
    answers, wire = send(reply, item(1, "credit_notes.allocate", {"Invoice": {"InvoiceID": B}}))
    assert outcomes(answers) == [("refused", "body_unreadable")] and wire.calls("PUT", API) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Invoice # must be unique.", "duplicate_number"),
        ("The document date cannot be before the end of year lock date, currently set at 31-Dec-2023", "period_locked"),
        ("The Contact Acme is archived. It must be un-archived before creating new invoices.", "contact_archived"),
        ("The contact name Acme is already assigned to another contact.", "duplicate_contact_name"),
        ("Account code '999' is not a valid code for this document.", "invalid_account"),
        ("Account code '9' has been archived, or has been deleted. Each line must be valid.", "invalid_account"),
        ("The TaxType code 'INPUT' cannot be used with account code '630'.", "invalid_tax_type"),
        ("Organisation is not subscribed to currency JPY", "invalid_currency"),
        ("This document cannot be edited as it has a payment or credit note allocated to it.", "paid_or_allocated"),
        ("Invoice not of valid status for modification", "status_not_allowed"),
        ("Something nobody has seen", "validation"),
    ],
)
def test_reasons(message: str, reason: str) -> None:
    assert reason_of([message]) == reason


# ---- looking up


def test_look_up_by_numbers_in_one_call_and_only_live_sales_invoices() -> None:
    rows = [
        made(1, A, Status="VOIDED"),
        made(2, B, Type="ACCPAY"),
        made(3, C, Contact={"ContactID": A}),
    ]
    connector, wire, _ = books(("GET", f"{API}/Invoices", answer({"Invoices": rows})))
    operation = connector.operation("invoices.create")
    found = connector.look_up(operation, [invoice(1), invoice(2), invoice(3), invoice(4)])
    assert {uid: [f.vendor_id for f in there] for uid, there in found.items()} == {
        "doc-1": [],
        "doc-2": [],
        "doc-3": [C],
        "doc-4": [],
    }
    assert found["doc-3"][0].differences == ()
    (asked,) = wire.calls("GET", f"{API}/Invoices")
    assert asked.url.params["InvoiceNumbers"] == "INV-1,INV-2,INV-3,INV-4"


def test_numbers_that_a_list_cannot_hold_go_through_a_where() -> None:
    connector, wire, _ = books(("GET", f"{API}/Invoices", answer({"Invoices": []})))
    odd = item(1, "invoices.create", {"InvoiceNumber": 'A,"1"\\'})
    connector.look_up(connector.operation("invoices.create"), [odd])
    assert wire.asked[-1].url.params["where"] == 'InvoiceNumber=="A,\\"1\\"\\\\"'


def test_an_archived_contact_is_found_and_says_so() -> None:
    rows = [
        {"ContactID": B, "ContactNumber": "001X", "Name": "Acme", "ContactStatus": "ARCHIVED", "MergedToContactID": C}
    ]
    connector, wire, _ = books(("GET", f"{API}/Contacts", answer({"Contacts": rows})))
    request = item(1, "contacts.create", {"ContactNumber": "001X", "Name": "Acme"})
    (found,) = connector.look_up(connector.operation("contacts.create"), [request])["doc-1"]
    assert found.differences == (("ContactStatus", "ACTIVE", f"ARCHIVED, merged into {C}"),)
    assert wire.asked[-1].url.params["includeArchived"] == "true"


def test_allocations_are_found_on_their_credit_note() -> None:
    note = {"CreditNoteID": A, "Allocations": [{"Amount": Decimal("5.0"), "Invoice": {"InvoiceID": B}}]}
    connector, _, _ = books(("GET", f"{API}/CreditNotes", answer({"CreditNotes": [note]})))
    operation = connector.operation("credit_notes.allocate")

    def body(invoice_id: str, amount: str) -> dict[str, Any]:
        return {"CreditNote": {"CreditNoteID": A}, "Invoice": {"InvoiceID": invoice_id}, "Amount": Decimal(amount)}

    requests = [
        item(1, operation.name, body(B, "5.00")),
        item(2, operation.name, body(B, "6.00")),
        item(3, operation.name, body(C, "5.00")),
    ]
    found = connector.look_up(operation, requests)
    assert found["doc-1"][0].differences == ()
    assert found["doc-2"][0].differences == (("Amount", "6.00", "5.0"),)
    assert found["doc-3"] == []


SENT: dict[str, Any] = {
    "Type": "ACCREC",
    "InvoiceNumber": "INV-1",
    "Contact": {"ContactID": A},
    "Date": "2024-05-01",
    "CurrencyCode": "EUR",
    "CurrencyRate": Decimal("1.17"),
    "Status": "AUTHORISED",
    "LineItems": [
        {"Description": "Tea\nblack", "Quantity": 2, "UnitAmount": Decimal("3.3350"), "TaxType": "OUTPUT2"},
        {"Description": "Freight", "Quantity": 1, "UnitAmount": "10.00", "DiscountRate": Decimal("2.5")},
    ],
}
THERE: dict[str, Any] = {
    **SENT,
    "Contact": {"ContactID": A.upper(), "Name": "Acme"},
    "Date": "/Date(1714521600000+0000)/",
    "DueDate": "/Date(1714521600000+0000)/",
    "CurrencyRate": Decimal("1.170000"),
    "Status": "PAID",
    "LineItems": [
        {**SENT["LineItems"][0], "Description": "Tea\r\nblack", "Quantity": Decimal("2.0000"), "AccountCode": "200"},
        {**SENT["LineItems"][1], "UnitAmount": Decimal("10.0")},
    ],
}


def test_what_is_equal_in_other_words_is_no_difference() -> None:
    assert differences(SENT, THERE) == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Date": "/Date(1714608000000+0000)/"}, "Date"),
        ({"CurrencyRate": Decimal("1.1745")}, "CurrencyRate"),
        ({"CurrencyCode": "USD"}, "CurrencyCode"),
        ({"Contact": {"ContactID": B}}, "Contact.ContactID"),
        ({"Status": "DRAFT"}, "Status"),
        ({"Status": "VOIDED"}, "Status"),
        ({"LineItems": THERE["LineItems"][:1]}, "LineItems"),
        ({"LineItems": THERE["LineItems"][::-1]}, "LineItems[1].Description"),
        (
            {
                "LineItems": [
                    THERE["LineItems"][0] | {"UnitAmount": Decimal("3.335000000000000001")},
                    THERE["LineItems"][1],
                ]
            },
            "LineItems[1].UnitAmount",
        ),
    ],
)
def test_what_differs_is_named(change: dict[str, Any], field: str) -> None:
    assert field in [name for name, _, _ in differences(SENT, THERE | change)]


def test_a_rate_with_more_places_than_xero_keeps_is_the_same_as_far_as_it_keeps_them() -> None:
    assert differences({"CurrencyRate": Decimal("1.17123456789")}, {"CurrencyRate": Decimal("1.171235")}) == ()
    assert differences({"CurrencyRate": Decimal("1.17123456789")}, {"CurrencyRate": Decimal("1.171237")}) != ()


def test_what_is_no_id_is_nobodys_record() -> None:
    connector, wire, _ = books()
    assert list(connector.fetch(INVOICES, ["nonsense", 'x") OR (1==1'])) == []
    operation = connector.operation("invoices.update")
    assert connector.look_up(operation, [item(1, operation.name, {"InvoiceID": "nonsense"})]) == {"doc-1": []}
    assert wire.asked == []
