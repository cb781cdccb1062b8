"""What surrounds the entities: tokens, queries, batches, change data capture, requestid, limits, restarts, webhooks."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from tests.sandbox_quickbooks.conftest import QuickBooks, fresh_tokens, line


def test_refresh_tokens_rotate(us: QuickBooks) -> None:
    assert fresh_tokens(us.sandbox).json()["error"] == "invalid_grant"  # the fixture used it
    url = f"{us.sandbox.url}/quickbooks/_sandbox/consent"
    first = us.http.post(url).json()["refresh_token"]
    issued = fresh_tokens(us.sandbox, first).json()
    assert (issued["expires_in"], issued["token_type"]) == (3600, "bearer")
    assert issued["refresh_token"] != first and issued["x_refresh_token_expires_in"] > 0
    assert fresh_tokens(us.sandbox, first).status_code == 400
    us.sandbox.settings("quickbooks", rotate_every_seconds=86400)
    again = fresh_tokens(us.sandbox, issued["refresh_token"]).json()
    assert again["refresh_token"] == issued["refresh_token"]
    us.sandbox.settings("quickbooks", rotate_every_seconds=0, old_token_grace_seconds=60)
    fresh_tokens(us.sandbox, issued["refresh_token"])
    assert fresh_tokens(us.sandbox, issued["refresh_token"]).status_code == 200
    us.sandbox.settings("quickbooks", clock_offset_seconds=7200)
    status, answer = us.call("GET", "preferences")
    assert (status, answer["Fault"]["Error"][0]["code"], answer["Fault"]["type"]) == (
        401,
        "3200",
        "AuthenticationFault",
    )


def test_queries(us: QuickBooks) -> None:
    ann, bob = us.customer("Ann's"), us.customer("Bob")
    made = [us.document("Invoice", who, line(str(n)), DocNumber=f"N{n}") for n, who in enumerate((ann, bob, ann), 1)]
    ids = lambda answer: [row["Id"] for row in answer.get("Invoice", [])]  # noqa: E731
    assert ids(us.query("select * from Invoice orderby Id")) == [row["Id"] for row in made]
    assert ids(us.query("select * from Invoice ORDER BY Id DESC startposition 2 maxresults 1")) == [made[1]["Id"]]
    assert ids(us.query("select Id from Invoice where DocNumber in ('N1', 'N3') orderby Id asc")) == [
        made[0]["Id"],
        made[2]["Id"],
    ]
    assert ids(us.query(f"select * from Invoice where CustomerRef = '{bob['Id']}'")) == [made[1]["Id"]]
    assert ids(us.query("select * from Invoice where TotalAmt > '1.5' and TotalAmt <= '2'")) == [made[1]["Id"]]
    assert ids(us.query(f"select * from Invoice where Id in ('{made[2]['Id']}', '77')")) == [made[2]["Id"]]
    since = made[0]["MetaData"]["LastUpdatedTime"]
    text = f"select * from Invoice where MetaData.LastUpdatedTime >= '{since}' orderby MetaData.LastUpdatedTime"
    assert len(us.query(text)["Invoice"]) == 3
    assert us.query("select * from Invoice where MetaData.LastUpdatedTime > '2099-01-01'") == {}
    assert us.query("select count(*) from Invoice where TxnDate = '2026-03-01'") == {"totalCount": 3}
    assert len(us.query(r"select * from Customer where DisplayName = 'Ann\'s'")["Customer"]) == 1
    assert len(us.query("select * from Customer where DisplayName like 'bo%'")["Customer"]) == 1
    for text, code in (
        ("select * from Invoice where a = 'b' or c = 'd'", "4000"),
        ("", "4000"),
        ("select * from Nothing", "4001"),
        ("select * from Invoice where PrivateNote = 'x'", "4001"),
        ("select * from Invoice maxresults 1001", "4001"),
    ):
        status, answer = us.call("GET", "query", query=text)
        assert (status, answer["Fault"]["Error"][0]["code"]) == (400, code)


def test_all_entities_can_be_queried(us: QuickBooks, gb: QuickBooks) -> None:
    for company in (us, gb):
        for name in (
            "Account",
            "TaxCode",
            "TaxRate",
            "Term",
            "CompanyCurrency",
            "ExchangeRate",
            "CompanyInfo",
            "Preferences",
            "Item",
        ):
            assert company.query(f"select * from {name}")[name], name
        assert company.get(f"companyinfo/{company.realm}")["CompanyInfo"]["CompanyName"]
        assert company.get("exchangerate", sourcecurrencycode="EUR")["ExchangeRate"]["Rate"] > 0
    us.write("ExchangeRate", {"SourceCurrencyCode": "EUR", "Rate": "1.5", "AsOfDate": "2026-01-01"})
    eva = us.customer(CurrencyRef={"value": "EUR"})
    assert us.document("Invoice", eva)["HomeTotalAmt"] == 150


def item(number: int, customer: Any, **more: Any) -> dict[str, Any]:
    body = {"CustomerRef": {"value": customer["Id"]}, "Line": [line()], "DocNumber": f"B{number}"}
    return {"bId": f"b{number}", "operation": "create", "Invoice": body | more}


def test_batch_with_a_fault_inside_a_200_and_its_repeat(us: QuickBooks) -> None:
    ann = us.customer()
    items = [item(1, ann), item(2, ann, DocNumber="B1"), {"bId": "q", "Query": "select count(*) from Invoice"}]
    status, answer = us.call("POST", "batch", {"BatchItemRequest": items}, requestid="r-1")
    one, two, three = answer["BatchItemResponse"]
    assert status == 200 and one["Invoice"]["DocNumber"] == "B1"
    assert two["Fault"]["Error"][0]["code"] == "6140" and two["bId"] == "b2"
    assert three["QueryResponse"] == {"totalCount": 1}
    again = us.call("POST", "batch", {"BatchItemRequest": items[:1]}, requestid="r-1")[1]["BatchItemResponse"]
    assert again[0] == one
    thirty_one = {"BatchItemRequest": [item(n, ann) for n in range(31)]}
    assert us.call("POST", "batch", thirty_one)[0] == 400
    void = {"bId": "v", "operation": "void", "Invoice": {"Id": one["Invoice"]["Id"], "SyncToken": "0"}}
    assert us.call("POST", "batch", {"BatchItemRequest": [void]})[1]["BatchItemResponse"][0]["Invoice"]["TotalAmt"] == 0


def test_an_item_is_missing_from_a_batchs_answer(us: QuickBooks) -> None:
    ann = us.customer()
    us.sandbox.faults({"system": "quickbooks", "path": "*/batch", "fault": "item_missing", "params": {"index": 0}})
    answer = us.call("POST", "batch", {"BatchItemRequest": [item(1, ann), item(2, ann)]})[1]["BatchItemResponse"]
    assert [entry["bId"] for entry in answer] == ["b2"]
    assert us.query("select count(*) from Invoice") == {"totalCount": 2}


def test_requestid_gives_the_first_answer_again(us: QuickBooks) -> None:
    first = us.write("Customer", {"DisplayName": "Ann"}, requestid="abc")
    assert us.write("Customer", {"DisplayName": "Ann"}, requestid="abc") == first
    us.sandbox.restart()
    assert us.write("Customer", {"DisplayName": "Ann"}, requestid="abc") == first
    us.sandbox.settings("quickbooks", requestid_seconds=0)
    assert us.refused("Customer", {"DisplayName": "Ann"}, requestid="abc") == "6240"


def test_change_data_capture(us: QuickBooks) -> None:
    ann = us.customer()
    kept, gone = us.document("Invoice", ann), us.document("Invoice", ann)
    us.write("Invoice", {"Id": gone["Id"], "SyncToken": "0"}, operation="delete")
    since = kept["MetaData"]["LastUpdatedTime"]
    customers, invoices = us.get("cdc", entities="Customer,Invoice", changedSince=since)["CDCResponse"][0][
        "QueryResponse"
    ]
    assert [row["Id"] for row in customers["Customer"]] == [ann["Id"]]
    assert [(row["Id"], row.get("status")) for row in invoices["Invoice"]] == [
        (kept["Id"], None),
        (gone["Id"], "Deleted"),
    ]
    us.sandbox.settings("quickbooks", cdc_objects=2)
    parts = us.get("cdc", entities="Customer,Invoice", changedSince=since)["CDCResponse"][0]["QueryResponse"]
    assert [part.get("maxResults") for part in parts] == [1, 1]
    assert us.call("GET", "cdc", entities="Invoice", changedSince="2020-01-01")[0] == 400


def test_throttling(us: QuickBooks) -> None:
    us.sandbox.settings("quickbooks", limits={"minute": 2})
    assert [us.call("GET", "preferences")[0] for _ in range(3)][-1] == 429
    error = us.call("GET", "preferences")[1]["Fault"]["Error"][0]
    assert error["code"] == "3001" and "ThrottleExceeded; errorCode=003001" in error["Message"]


def test_the_books_are_there_after_kill(us: QuickBooks) -> None:
    ann = us.customer()
    made = us.document("Invoice", ann, line("0.10"))
    us.sandbox.kill()
    us.sandbox.start()
    assert us.read("Invoice", made) == made


def test_webhooks_are_signed(us: QuickBooks) -> None:
    from quickbooks import QuickBooks as Stranger

    got: list[tuple[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            got.append((body, self.headers["intuit-signature"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.handle_request)
    thread.start()
    us.sandbox.settings("quickbooks", webhook_url=f"http://127.0.0.1:{server.server_port}/hook")
    ann = us.customer()
    thread.join(10)
    server.server_close()
    ((body, signature),) = got
    assert Stranger(minorversion=75).validate_webhook_signature(body, signature, "sandbox-verifier")
    entity = json.loads(body)["eventNotifications"][0]["dataChangeEvent"]["entities"][0]
    assert (entity["name"], entity["id"], entity["operation"]) == ("Customer", ann["Id"], "Create")
