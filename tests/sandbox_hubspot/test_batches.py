"""Batches: each input on its own by its objectWriteTraceId, 207 for what failed."""

from __future__ import annotations

from typing import Any

from tests.sandbox_hubspot.conftest import HubSpot

DEALS = "/crm/v3/objects/deals"


def item(trace: str | None, **properties: Any) -> dict[str, Any]:
    return {"properties": properties} | ({"objectWriteTraceId": trace} if trace else {})


def test_with_trace_ids_each_input_ends_on_its_own(hubspot: HubSpot) -> None:
    inputs = [item("a", dealname="A"), item("b", amount="x"), item("c", dealname="C")]
    status, answer = hubspot.call("POST", f"{DEALS}/batch/create", {"inputs": inputs})
    assert status == 207 and answer["numErrors"] == 1 and answer["status"] == "COMPLETE"
    made = {one["objectWriteTraceId"]: one["properties"]["dealname"] for one in answer["results"]}
    assert made == {"a": "A", "c": "C"}
    assert [one["objectWriteTraceId"] for one in answer["results"]] == ["c", "a"]  # not in order of the inputs
    error = answer["errors"][0]
    assert (error["status"], error["category"]) == ("error", "VALIDATION_ERROR")
    assert error["context"]["objectWriteTraceId"] == ["b"] and error["errors"][0]["code"] == "INVALID_NUMBER"
    assert len(hubspot.get(DEALS)["results"]) == 2


def test_without_trace_ids_one_refusal_refuses_all(hubspot: HubSpot) -> None:
    inputs = [item(None, dealname="A"), item(None, amount="x")]
    assert hubspot.refused("POST", f"{DEALS}/batch/create", {"inputs": inputs})[0] == 400
    assert hubspot.get(DEALS)["results"] == []


def test_updates_of_what_is_not_there(hubspot: HubSpot) -> None:
    deal = hubspot.make("deals", dealname="A")
    inputs = [{"id": deal, "properties": {"dealname": "B"}}, {"id": "77", "properties": {}}]
    status, answer = hubspot.call("POST", f"{DEALS}/batch/update", {"inputs": inputs})
    assert status == 207 and answer["results"][0]["properties"]["dealname"] == "B"
    assert answer["errors"][0]["category"] == "OBJECT_NOT_FOUND" and answer["errors"][0]["context"]["ids"] == ["77"]
    status, _, message = hubspot.refused("POST", f"{DEALS}/batch/update", {"inputs": [inputs[0], inputs[0]]})
    assert status == 400 and message.startswith("Duplicate IDs found in batch input")


def test_upserts_make_or_change(hubspot: HubSpot) -> None:
    hubspot.property("deals", "own", hasUniqueValue=True)
    inputs = [{"idProperty": "own", "id": str(n)} | item(f"t{n}", dealname="A") for n in range(3)]
    status, first = hubspot.call("POST", f"{DEALS}/batch/upsert", {"inputs": inputs})
    assert status == 200 and all(one["new"] for one in first["results"])
    inputs[0]["properties"] = {"amount": "no number"}
    status, second = hubspot.call("POST", f"{DEALS}/batch/upsert", {"inputs": inputs})
    assert status == 207 and not any(one["new"] for one in second["results"])
    ids = {one["objectWriteTraceId"]: one["id"] for one in first["results"]}
    assert {one["objectWriteTraceId"]: one["id"] for one in second["results"]} == {"t1": ids["t1"], "t2": ids["t2"]}
    inputs = [{"idProperty": "dealname", "id": "A"} | item(None)]
    assert hubspot.refused("POST", f"{DEALS}/batch/upsert", {"inputs": inputs})[0] == 400


def test_archive_and_create_with_associations(hubspot: HubSpot) -> None:
    company = hubspot.make("companies", name="C")
    to = [{"to": {"id": company}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 5}]}]
    made = hubspot.ok("POST", f"{DEALS}/batch/create", {"inputs": [item("a", dealname="A") | {"associations": to}]})
    deal = made["results"][0]["id"]
    read = hubspot.get(f"{DEALS}/{deal}", associations="companies")["associations"]["companies"]["results"]
    assert {"id": company, "type": "deal_to_company"} in read
    hubspot.ok("POST", f"{DEALS}/batch/archive", {"inputs": [{"id": deal}, {"id": "77"}]})
    assert hubspot.get(f"/crm/v4/objects/companies/{company}/associations/deals")["results"] == []


def test_an_item_is_missing_from_the_answer_but_was_made(hubspot: HubSpot) -> None:
    hubspot.sandbox.faults({"fault": "item_missing", "system": "hubspot", "times": 1})
    answer = hubspot.ok("POST", f"{DEALS}/batch/create", {"inputs": [item("a", dealname="A"), item("b", dealname="B")]})
    assert len(answer["results"]) == 1 and len(hubspot.get(DEALS)["results"]) == 2
