"""Bulk API 2.0: queries fetched as CSV in parts, records sent as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.sandbox_salesforce.conftest import ROOT, Api, Shop


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def start_query(api: Api, query: str, operation: str = "query") -> str:
    status, job = api.call("POST", "jobs/query", {"operation": operation, "query": query})
    assert status == 200 and job["state"] == "UploadComplete", job
    return str(job["id"])


def test_a_query_is_fetched_in_parts(api: Api) -> None:
    api.door("raw/Account", {"records": [{"Name": f'A "{number}", x'} for number in range(5)]})
    job = start_query(
        api, "SELECT Id, Name, Owner.Name, IsDeleted, AnnualRevenue, CreatedDate FROM Account ORDER BY Id"
    )
    state = api.call("GET", f"jobs/query/{job}")[1]
    assert (state["state"], state["numberRecordsProcessed"], state["object"]) == ("JobComplete", 5, "Account")
    locator, found, parts = "", [], 0
    while locator != "null":
        url = f"{ROOT}/jobs/query/{job}/results?maxRecords=2" + (f"&locator={locator}" if locator else "")
        answer = api.client.get(url)
        part = rows_of(answer.content)
        assert answer.headers["Sforce-NumberOfRecords"] == str(len(part))
        assert answer.headers["Content-Type"].startswith("text/csv")
        locator, parts = answer.headers["Sforce-Locator"], parts + 1
        found += part
    assert parts == 3
    assert [row["Name"] for row in found] == [f'A "{number}", x' for number in range(5)]
    assert found[0]["Owner.Name"] == "Integration"
    assert (found[0]["IsDeleted"], found[0]["AnnualRevenue"]) == ("false", "")
    assert found[0]["CreatedDate"].endswith("Z")


def test_a_job_may_take_its_time(api: Api) -> None:
    api.state.settings["bulk_polls"] = 2
    job = start_query(api, "SELECT Id FROM Account")
    assert api.refusal("GET", f"jobs/query/{job}/results")[0] == 400
    states = [api.call("GET", f"jobs/query/{job}")[1]["state"] for _ in range(3)]
    assert states == ["InProgress", "InProgress", "JobComplete"]
    assert api.client.get(f"{ROOT}/jobs/query/{job}/results").content == b'"Id"\n'


def test_deleted_records_are_in_a_query_all(api: Api) -> None:
    api.call("DELETE", f"sobjects/Account/{api.create('Account', Name='Gone')}")
    jobs = [start_query(api, "SELECT Name FROM Account", operation) for operation in ("query", "queryAll")]
    found = [rows_of(api.client.get(f"{ROOT}/jobs/query/{job}/results").content) for job in jobs]
    assert found == [[], [{"Name": "Gone"}]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "API_ERROR"),
        ("SELECT COUNT() FROM Account", "API_ERROR"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT", "MALFORMED_QUERY"),
    ],
)
def test_queries_that_bulk_does_not_take(api: Api, query: str, code: str) -> None:
    assert api.refusal("POST", "jobs/query", {"operation": "query", "query": query})[:2] == (400, code)


def ingest(api: Api, content: str, **job: Any) -> tuple[str, dict[str, Any]]:
    """(job id, its state at the end)."""
    status, made = api.call("POST", "jobs/ingest", {"object": "Account", "contentType": "CSV", **job})
    assert status == 200 and made["state"] == "Open", made
    url = f"{ROOT}/jobs/ingest/{made['id']}"
    assert f"/{made['contentUrl']}" == f"{url}/batches"
    put = api.client.put(f"{url}/batches", content=content.encode(), headers={"Content-Type": "text/csv"})
    assert put.status_code == 201
    assert api.call("PATCH", url, {"state": "UploadComplete"})[1]["state"] == "UploadComplete"
    return made["id"], api.call("GET", url)[1]


def results(api: Api, job: str, kind: str) -> list[dict[str, str]]:
    return rows_of(api.client.get(f"{ROOT}/jobs/ingest/{job}/{kind}").content)


def test_inserts_say_what_went_well_and_what_did_not(api: Api) -> None:
    job, state = ingest(api, "Name,AnnualRevenue\nA,1.5\n,2\nC,abc\nD,\n", operation="insert")
    assert (state["state"], state["numberRecordsProcessed"], state["numberRecordsFailed"]) == ("JobComplete", 4, 2)
    good = results(api, job, "successfulResults")
    assert [(row["Name"], row["sf__Created"]) for row in good] == [("A", "true"), ("D", "true")]
    assert str(api.get("Account", good[0]["sf__Id"])["AnnualRevenue"]) == "1.5"
    bad = results(api, job, "failedResults")
    assert [row["sf__Error"] for row in bad] == [
        "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
        "INVALID_TYPE_ON_FIELD_IN_RECORD:Annual Revenue: value not of required type: abc:AnnualRevenue --",
    ]
    assert results(api, job, "unprocessedrecords") == []


def test_updates_upserts_and_deletes(api: Api, shop: Shop) -> None:
    field = {"name": "Code__c", "type": "Text", "length": 36, "externalId": True, "unique": True}
    api.door("metadata", {"fields": {"Account": [field]}})
    content = f"Id,Site,Code__c\n{shop.account},here,C-1\n001Ws0000000zzz,x,\n"
    job, state = ingest(api, content, operation="update")
    assert state["numberRecordsFailed"] == 1
    content = "Code__c,Name,Site\nC-1,Acme,#N/A\nC-2,New,\n"
    job, state = ingest(api, content, operation="upsert", externalIdFieldName="Code__c")
    assert [row["sf__Created"] for row in results(api, job, "successfulResults")] == ["false", "true"]
    assert api.get("Account", shop.account)["Site"] is None
    child = "Name,Parent.Code__c\nChild,C-2\n"
    ingest(api, child, operation="insert")
    assert api.column("SELECT Parent.Name FROM Account WHERE Name = 'Child'")[0]["Name"] == "New"
    ingest(api, f"Id\n{shop.account}\n", operation="delete")
    assert sorted(api.column("SELECT Name FROM Account")) == ["Child", "New"]


def test_lines_sent_in_bulk_are_summed(api: Api, shop: Shop) -> None:
    order = shop.order()
    row = f"{order},{shop.entry},2,10.5\n"
    _, state = ingest(
        api, "OrderId,PricebookEntryId,Quantity,UnitPrice\n" + row * 3, operation="insert", object="OrderItem"
    )
    assert state["numberRecordsFailed"] == 0
    assert str(api.get("Order", order)["TotalAmount"]) == "63.0"


def test_jobs_have_an_order_of_states(api: Api) -> None:
    assert api.refusal("POST", "jobs/ingest", {"object": "Account", "operation": "upsert"})[1] == "INVALIDJOB"
    assert api.refusal("POST", "jobs/ingest", {"object": "Account", "operation": "paint"})[1] == "INVALIDJOB"
    _, job = api.call("POST", "jobs/ingest", {"object": "Account", "operation": "insert"})
    url = f"jobs/ingest/{job['id']}"
    assert api.client.put(f"{ROOT}/{url}/batches", content=b"Name\nA\n").status_code == 201
    assert api.call("PATCH", url, {"state": "Aborted"})[1]["state"] == "Aborted"
    assert api.refusal("PATCH", url, {"state": "UploadComplete"})[1] == "INVALIDJOBSTATE"
    assert results(api, job["id"], "unprocessedrecords") == [{"Name": "A"}]
    assert api.query("SELECT Id FROM Account") == []
    assert api.call("DELETE", url) == (204, None)
    assert api.refusal("GET", url)[0] == 404
