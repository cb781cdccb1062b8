"""Salesforce on a fake wire: queries as they are written, answers as they are judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.connectors.wires import NOW, Time, Wire, answer, connection, entity, item
from tieout.connectors import exact_json
from tieout.connectors.base import Answer, Request
from tieout.connectors.outside import Outside
from tieout.connectors.salesforce import soql
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.errors import ConfigurationFault, Fatal, PermissionDenied, RateLimited, VendorFault

HOST = "https://acme.my.salesforce.com"
DATA = "/services/data/v62.0"
SIGN_IN = ("POST", "/services/oauth2/token", answer({"access_token": "t", "instance_url": HOST}))
LINES = entity(
    "salesforce",
    "OrderItem",
    "Id",
    "SystemModstamp",
    line_id=("Id", "text"),
    code=("Product2.ProductCode", "text"),
    price=("UnitPrice", "decimal"),
    active=("IsActive__c", "boolean"),
)
ORDER = "801000000000001AAA"


def crm(*rules: tuple[str, str, Any], **extra: Any) -> tuple[SalesforceConnector, Wire, Time]:
    wire, time = Wire(SIGN_IN, *rules), Time()
    return SalesforceConnector(connection("salesforce", HOST, **extra), Outside(wire.transport, time.clock)), wire, time


def page(*records: dict[str, Any], total: int | None = None, following: str | None = None) -> httpx.Response:
    value: dict[str, Any] = {"totalSize": len(records) if total is None else total, "records": list(records)}
    value["done"] = following is None
    if following:
        value["nextRecordsUrl"] = following
    return answer(value)


def write_back(body: Any, *, key: str = ORDER, number: int = 1) -> Request:
    return item(number, "orders.write_back", body, key)


def send(results: Any, *requests: Request, status: int = 200) -> tuple[list[Answer], Wire]:
    reply = results if isinstance(results, httpx.Response | Exception) else answer(results, status)
    connector, wire, _ = crm(("PATCH", f"{DATA}/composite/sobjects", reply))
    return list(connector.send(connector.operation(requests[0].operation), requests)), wire


# ---- reading


def test_the_query_of_a_window() -> None:
    connector, wire, _ = crm(("GET", f"{DATA}/query", page()))
    since = datetime(2024, 4, 30, 10, 0, 0, 123456, tzinfo=UTC)
    list(connector.changed(LINES, since, NOW + timedelta(microseconds=1)))
    assert wire.asked[-1].url.params["q"] == (
        "SELECT Id, SystemModstamp, Product2.ProductCode, UnitPrice, IsActive__c FROM OrderItem"
        " WHERE SystemModstamp >= 2024-04-30T10:00:00.123Z AND SystemModstamp < 2024-05-01T12:00:00.001Z"
        " ORDER BY SystemModstamp, Id"
    )


def test_an_object_without_modification_time_is_read_whole() -> None:
    connector, wire, _ = crm(("GET", f"{DATA}/query", page()))
    whole = entity("salesforce", "CurrencyType", "Id", None, code=("IsoCode", "text"))
    list(connector.changed(whole, NOW, NOW))
    assert wire.asked[-1].url.params["q"] == "SELECT Id, IsoCode FROM CurrencyType ORDER BY Id"


def test_pages_are_followed_on_this_host_only() -> None:
    following = "https://evil.example.org/services/data/v62.0/query/01gAA-2000"
    connector, wire, _ = crm(
        ("GET", f"{DATA}/query/01gAA-2000", page({"Id": "b"}, total=2)),
        ("GET", f"{DATA}/query", page({"Id": "a"}, total=2, following=following)),
    )
    pages = list(connector.changed(LINES, None, NOW))
    assert [record["Id"] for p in pages for record in p.records] == ["a", "b"]
    assert {request.url.host for request in wire.asked} == {"acme.my.salesforce.com"}


@pytest.mark.parametrize("following", ["/services/data/v62.0/query/../sobjects", "", "/services/apexrest/x"])
def test_a_next_page_that_is_none_is_a_vendor_fault(following: str) -> None:
    value = {"totalSize": 3, "done": False, "records": [{"Id": "a"}], "nextRecordsUrl": following}
    connector, _, _ = crm(("GET", f"{DATA}/query", answer(value)))
    with pytest.raises(VendorFault, match="nextRecordsUrl"):
        list(connector.changed(LINES, None, NOW))


def test_a_large_window_is_read_by_a_job_with_equal_records() -> None:
    csv = (
        '"Id","SystemModstamp","Product2.ProductCode","UnitPrice","IsActive__c"\n'
        '"1","2024-01-01T00:00:00.000Z","A ""x"", 1\nline","123456789012345678.90","true"\n'
        '"2","2024-01-01T00:00:00.000Z","","",""\n'
    )
    results = [
        httpx.Response(200, headers={"sforce-locator": "MTAw"}, content=csv.encode()),
        httpx.Response(200, headers={"sforce-locator": "null"}, content=csv.encode()),
    ]
    connector, wire, time = crm(
        ("GET", f"{DATA}/query", page({"Id": "1"}, total=2, following=f"{DATA}/query/01g-1")),
        ("POST", f"{DATA}/jobs/query", answer({"id": "750AA", "state": "UploadComplete"})),
        ("GET", f"{DATA}/jobs/query/750AA/results", results),
        ("GET", f"{DATA}/jobs/query/750AA", [answer({"state": "InProgress"}), answer({"state": "JobComplete"})]),
        bulk_from=2,
    )
    pages = list(connector.changed(LINES, None, NOW))
    assert [len(p.records) for p in pages] == [2, 2]
    first, second = pages[0].records
    assert first["Product2"] == {"ProductCode": 'A "x", 1\nline'}
    assert first["UnitPrice"] == Decimal("123456789012345678.90") and first["IsActive__c"] is True
    assert (second["Product2"], second["UnitPrice"], second["IsActive__c"]) == (None, None, None)
    assert wire.asked[-1].url.params["locator"] == "MTAw"
    assert time.naps == [0.5]


def test_a_job_that_fails_is_a_vendor_fault() -> None:
    connector, _, _ = crm(
        ("GET", f"{DATA}/query", page({"Id": "1"}, total=9)),
        ("POST", f"{DATA}/jobs/query", answer({"id": "750AA"})),
        ("GET", f"{DATA}/jobs/query/750AA", answer({"state": "Failed", "errorMessage": "InvalidBatch"})),
        bulk_from=2,
    )
    with pytest.raises(VendorFault, match="InvalidBatch"):
        list(connector.changed(LINES, None, NOW))


@pytest.mark.parametrize("name", ["Order; DELETE", "Order'", "a.b", "", "1x", "Order FROM"])
def test_names_that_are_none_are_refused(name: str) -> None:
    connector, wire, _ = crm()
    with pytest.raises(ConfigurationFault):
        list(connector.changed(entity("salesforce", name, "Id", None), None, NOW))
    assert wire.asked == []


def test_literals_cannot_leave_their_quotes() -> None:
    assert soql.literal('O\'Neil \\ "x"\n') == "'O\\'Neil \\\\ \\\"x\\\"\\n'"
    assert soql.among("Name", ["a' OR Name != '"]) == "Name IN ('a\\' OR Name != \\'')"


def test_ids_of_15_and_18_characters_are_the_same_record() -> None:
    # The pair from Salesforce's own description of the algorithm.
    assert soql.id_18("001A0000006Vm9r") == "001A0000006Vm9rIAC"
    assert soql.id_18("001A0000006Vm9rIAC") == "001A0000006Vm9rIAC"
    assert soql.id_18("001a0000006vm9riac") == "001A0000006Vm9rIAC"
    for wrong in ("", "001A0000006Vm9", "001A0000006Vm9r'", "001A0000006Vm9rIA9"):
        with pytest.raises(ValueError):
            soql.id_18(wrong)


def test_deletions_further_back_than_15_days_are_fatal() -> None:
    connector, wire, _ = crm()
    with pytest.raises(Fatal, match="read the object whole"):
        list(connector.deleted(LINES, NOW - timedelta(days=16), NOW))
    assert wire.asked == []


def test_deletions_by_the_minute_and_from_the_bin_where_there_is_no_replication() -> None:
    gone = {"deletedRecords": [{"id": "001A0000006Vm9r", "deletedDate": "x"}]}
    connector, wire, _ = crm(("GET", f"{DATA}/sobjects/OrderItem/deleted", answer(gone)))
    since = datetime(2024, 4, 30, 10, 0, 30, tzinfo=UTC)
    assert list(connector.deleted(LINES, since, since)) == [["001A0000006Vm9rIAC"]]
    asked = wire.asked[-1].url.params
    assert (asked["start"], asked["end"]) == ("2024-04-30T10:00:00Z", "2024-04-30T10:01:00Z")

    refused = answer([{"errorCode": "INVALID_TYPE", "message": "not replicable"}], 400)
    connector, wire, _ = crm(
        ("GET", f"{DATA}/sobjects/OrderItem/deleted", refused),
        ("GET", f"{DATA}/queryAll", page({"Id": "001A0000006Vm9r"})),
    )
    assert list(connector.deleted(LINES, since, NOW)) == [["001A0000006Vm9rIAC"]]
    assert "IsDeleted = true" in wire.asked[-1].url.params["q"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", RateLimited),
        (400, "INVALID_TYPE", PermissionDenied),
        (400, "INVALID_FIELD", PermissionDenied),
        (403, "API_DISABLED_FOR_ORG", PermissionDenied),
        (400, "MALFORMED_QUERY", VendorFault),
    ],
)
def test_errors_of_a_read(status: int, code: str, kind: type[Exception]) -> None:
    connector, wire, _ = crm(("GET", f"{DATA}/query", answer([{"errorCode": code, "message": "m"}], status)))
    with pytest.raises(kind, match=code):
        list(connector.changed(LINES, None, NOW))
    assert len(wire.calls("GET", f"{DATA}/query")) == 1


# ---- writing


def test_the_frozen_body_is_sent_as_it_is_behind_type_and_id() -> None:
    body = b'{"Tieout_Invoice_Total__c":1000000000000000.10,"Tieout_Invoice_Number__c":"INV-1"}'
    answers, wire = send([{"id": ORDER, "success": True, "errors": []}], write_back(body))
    assert wire.asked[-1].content == (
        b'{"allOrNone":false,"records":[{"attributes":{"type":"Order"},"Id":"'
        + ORDER.encode()
        + b'",'
        + body[1:]
        + b"]}"
    )
    assert [(a.outcome, a.vendor_id) for a in answers] == [("applied", ORDER)]


def test_each_item_ends_on_its_own() -> None:
    ids = [soql.id_18(f"80100000000000{n}") for n in range(1, 6)]
    requests = [write_back({"A__c": n}, key=ids[n], number=n) for n in range(5)]
    results = [
        {"id": ids[0], "success": True, "errors": []},
        {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "message": "long", "fields": ["A__c"]}]},
        {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "lock", "fields": []}]},
        {"success": False, "errors": [{"statusCode": "SOMETHING_NEW", "message": "?", "fields": []}]},
        {"success": False, "errors": []},
    ]
    answers, _ = send(results, *requests)
    assert [(a.doc_uid, a.outcome, a.reason) for a in answers] == [
        ("doc-0", "applied", None),
        ("doc-1", "refused", "text_too_long"),
        ("doc-2", "throttled", "unable_to_lock_row"),
        ("doc-3", "refused", "something_new"),
        ("doc-4", "uncertain", "unreadable_answer"),
    ]
    assert answers[2].retry_after == 5.0


def test_a_missing_result_is_uncertain_for_whom_it_may_concern() -> None:
    ids = [soql.id_18(f"80100000000000{n}") for n in range(1, 4)]
    requests = [write_back({"A__c": n}, key=ids[n], number=n) for n in range(3)]
    failed = {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "message": "x", "fields": []}]}
    answers, _ = send([{"id": ids[2], "success": True, "errors": []}, failed], *requests)
    assert [a.outcome for a in answers] == ["uncertain", "uncertain", "applied"]


def test_reordered_and_doubled_results_are_not_taken_for_another_items() -> None:
    ids = [soql.id_18(f"80100000000000{n}") for n in range(1, 3)]
    requests = [write_back({"A__c": n}, key=ids[n], number=n) for n in range(2)]
    ok = [{"id": id_, "success": True, "errors": []} for id_ in ids]
    answers, _ = send([ok[1], ok[0]], *requests)
    assert [a.vendor_id for a in answers] == ids
    answers, _ = send([ok[1], ok[1]], *requests)
    assert [a.outcome for a in answers] == ["uncertain", "applied"]
    upserts = [
        item(n, "ledger_invoices.upsert", {"Ledger_Invoice_Id__c": f"x{n}", "Status__c": "PAID"}) for n in (0, 1)
    ]
    answers, wire = send([ok[0], ok[0]], *upserts)
    assert [a.outcome for a in answers] == ["uncertain", "uncertain"]
    assert wire.asked[-1].url.path == f"{DATA}/composite/sobjects/Ledger_Invoice__c/Ledger_Invoice_Id__c"


@pytest.mark.parametrize(
    "reply",
    [
        answer([], 500),
        answer([], 503),
        httpx.Response(200, content=b"<html>ok</html>"),
        httpx.Response(200, content=b"[]"),
        answer({"surprise": 1}),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("cut"),
    ],
)
def test_what_is_not_definite_is_uncertain_and_sent_once(reply: Any) -> None:
    answers, wire = send(reply, write_back({"A__c": 1}))
    assert [a.outcome for a in answers] == ["uncertain"]
    assert len(wire.calls("PATCH", DATA)) == 1


def test_no_connection_and_no_allowance_are_not_applied() -> None:
    answers, _ = send(httpx.ConnectError("no"), write_back({"A__c": 1}))
    assert (answers[0].outcome, answers[0].reason) == ("throttled", "unreachable")
    limit = answer([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}], 403)
    answers, _ = send(limit, write_back({"A__c": 1}))
    assert (answers[0].outcome, answers[0].retry_after) == ("throttled", 900.0)


def test_missing_rights_are_raised() -> None:
    with pytest.raises(PermissionDenied, match="permission set"):
        send(answer([{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}], 403), write_back({"A__c": 1}))


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"{}", b'{"attributes":{"type":"User"},"A__c":1}', b'{"Id":"nonsense","A__c":1}']
)
def test_a_body_that_cannot_be_sent_is_refused_alone(body: bytes) -> None:
    answers, wire = send([{"id": ORDER, "success": True}], write_back(body), write_back({"A__c": 1}, number=2))
    assert [(a.outcome, a.reason) for a in answers] == [("refused", "body_unreadable"), ("applied", None)]
    assert len(exact_json.loads(wire.asked[-1].content)["records"]) == 1


def test_an_expired_token_in_a_write_is_replaced_because_nothing_was_applied() -> None:
    expired = answer([{"errorCode": "INVALID_SESSION_ID", "message": "expired"}], 401)
    reply = [expired, answer([{"id": ORDER, "success": True, "errors": []}])]
    connector, wire, _ = crm(("PATCH", f"{DATA}/composite/sobjects", reply))
    answers = connector.send(connector.operation("orders.write_back"), [write_back({"A__c": 1})])
    assert [a.outcome for a in answers] == ["applied"]
    sent = wire.calls("PATCH", DATA)
    assert len(sent) == 2 and sent[0].content == sent[1].content


def test_a_write_does_not_start_after_a_slow_sign_in() -> None:
    wire, time = Wire(), Time()

    def slow(_: httpx.Request) -> httpx.Response:
        time.seconds += 11
        return answer({"access_token": "t", "instance_url": HOST})

    wire.rules.append(("POST", "/services/oauth2/token", slow))
    connector = SalesforceConnector(connection("salesforce", HOST), Outside(wire.transport, time.clock))
    answers = connector.send(connector.operation("orders.write_back"), [write_back({"A__c": 1})])
    assert (answers[0].outcome, answers[0].reason) == ("throttled", "unreachable")
    assert wire.calls("PATCH", "/") == []


def test_a_look_up_compares_the_sent_fields() -> None:
    there = {
        "attributes": {"type": "Order"},
        "Id": ORDER[:15],
        "Tieout_Invoice_Total__c": Decimal("120.0"),
        "Tieout_Message__c": None,
        "Tieout_Invoice_Status__c": "PAID",
    }
    connector, wire, _ = crm(("GET", f"{DATA}/query", page(there)))
    body = {"Tieout_Invoice_Total__c": Decimal("120.00"), "Tieout_Message__c": "", "Tieout_Invoice_Status__c": "DRAFT"}
    gone = write_back({"Tieout_Message__c": "x"}, key="801000000000002AAA", number=2)
    found = connector.look_up(connector.operation("orders.write_back"), [write_back(body), gone])
    (one,) = found["doc-1"]
    assert one.vendor_id == ORDER and one.differences == (("Tieout_Invoice_Status__c", "DRAFT", "PAID"),)
    assert found["doc-2"] == []
    assert len(wire.calls("GET", DATA)) == 1


def test_declarations_of_operations() -> None:
    connector, _, _ = crm(time_out="20", latest_apply="30", look_up_lag="1")
    operation = connector.operation("orders.write_back")
    assert (operation.batch, operation.repeatable, operation.creates) == (200, True, False)
    assert operation.quiet_period == timedelta(seconds=30 + 30 + 1)
    with pytest.raises(ConfigurationFault, match=r"accounts\.write_back"):
        connector.operation("orders.writeback")


def test_many_records_are_brought_in_by_a_job_and_found_again_by_content() -> None:
    done = '"sf__Id","sf__Created","Name","Amount__c"\n"001A0000006Vm9r","true","Ünï, ""x""","10.50"\n'
    bad = '"sf__Id","sf__Error","Name","Amount__c"\n"","STRING_TOO_LONG:too long:Name --","B","#N/A"\n'
    connector, wire, _ = crm(
        ("POST", f"{DATA}/jobs/ingest", answer({"id": "750BB"})),
        ("PUT", f"{DATA}/jobs/ingest/750BB/batches", httpx.Response(201)),
        ("PATCH", f"{DATA}/jobs/ingest/750BB", answer({"id": "750BB"})),
        ("GET", f"{DATA}/jobs/ingest/750BB/successfulResults", httpx.Response(200, content=done.encode())),
        ("GET", f"{DATA}/jobs/ingest/750BB/failedResults", httpx.Response(200, content=bad.encode())),
        ("GET", f"{DATA}/jobs/ingest/750BB/unprocessedrecords", httpx.Response(200, content=b"Name,Amount__c\n")),
        ("GET", f"{DATA}/jobs/ingest/750BB", answer({"state": "JobComplete"})),
    )
    records: list[dict[str, Any]] = [
        {"Name": "B", "Amount__c": None},
        {"Name": 'Ünï, "x"', "Amount__c": Decimal("10.50")},
    ]
    results = connector.insert("Account", records, bulk_from=2)
    assert [(r.success, r.id, r.created) for r in results] == [(False, None, False), (True, "001A0000006Vm9rIAC", True)]
    assert results[0].errors[0][0] == "STRING_TOO_LONG"
    (upload,) = wire.calls("PUT", f"{DATA}/jobs/ingest")
    assert upload.content.decode() == 'Name,Amount__c\nB,#N/A\n"Ünï, ""x""",10.50\n'


def test_what_is_no_id_is_nobodys_record() -> None:
    connector, wire, _ = crm(("GET", f"{DATA}/query", page()))
    assert list(connector.fetch(LINES, ["nonsense", "O'Neil"])) == []
    bad = write_back({"A__c": 1}, key="nonsense")
    assert connector.look_up(connector.operation("orders.write_back"), [bad]) == {"doc-1": []}
    assert wire.asked == []
    answers, _ = send([{"id": "?", "success": True, "errors": []}], item(1, "ledger_invoices.upsert", {"A__c": 1}, "k"))
    assert [a.outcome for a in answers] == ["uncertain"]
