"""Whatever is sent, the answer is the vendor's: never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox_hubspot.conftest import HubSpot, spec, where

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
PROPERTY = {
    "name": "own",
    "label": "Own",
    "type": "enumeration",
    "fieldType": "select",
    "groupName": "dealinformation",
    "options": [{"label": "A", "value": "a"}],
    "hasUniqueValue": False,
    "description": "",
}
SCHEMA = {
    "name": "cars",
    "labels": {"singular": "Car", "plural": "Cars"},
    "primaryDisplayProperty": "model",
    "secondaryDisplayProperties": [],
    "requiredProperties": ["model"],
    "searchableProperties": ["model"],
    "properties": [{"name": "model", "label": "Model", "type": "string", "fieldType": "text"}],
    "associatedObjects": ["CONTACT"],
}
PAIR = {"from": {"id": "1"}, "to": {"id": "2"}, "types": [spec(341)]}
# (path, body whose fields become nonsense one by one, how deep the fields stand)
BODIES: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    "create": ("/crm/v3/objects/deals", {"properties": {"dealname": "D"}, "associations": []}, ()),
    "values": (
        "/crm/v3/objects/deals",
        {"properties": {"dealname": "D", "amount": "1", "closedate": "2026-01-01", "dealstage": "closedwon",
                        "pipeline": "default", "hubspot_owner_id": "41629779", "dealtype": "newbusiness"}},
        ("properties",),
    ),
    "lines": (
        "/crm/v3/objects/line_items",
        {"properties": {"quantity": "1", "price": "2", "discount": "1", "hs_discount_percentage": "3",
                        "hs_product_id": "1", "hs_recurring_billing_start_date": "2026-01-01"}},
        ("properties",),
    ),
    "batch": ("/crm/v3/objects/deals/batch/create", {"inputs": [{"properties": {}, "objectWriteTraceId": "1",
                                                                 "associations": []}]}, ("inputs", 0)),
    "upsert": ("/crm/v3/objects/contacts/batch/upsert", {"inputs": [{"id": "a@b.cd", "idProperty": "email",
                                                                     "properties": {}}]}, ("inputs", 0)),
    "update": ("/crm/v3/objects/deals/batch/update", {"inputs": [{"id": "1", "properties": {}}]}, ("inputs", 0)),
    "archive": ("/crm/v3/objects/deals/batch/archive", {"inputs": [{"id": "1"}]}, ("inputs", 0)),
    "read": ("/crm/v3/objects/deals/batch/read", {"inputs": [], "properties": [], "idProperty": None}, ()),
    "search": (
        "/crm/v3/objects/deals/search",
        {"filterGroups": [], "sorts": [], "query": "", "limit": 10, "after": "0", "properties": []},
        (),
    ),
    "filter": (
        "/crm/v3/objects/deals/search",
        {"filterGroups": [{"filters": [where("amount", "BETWEEN", "1", highValue="2", values=["1"])]}]},
        ("filterGroups", 0, "filters", 0),
    ),
    "merge": ("/crm/v3/objects/deals/merge", {"primaryObjectId": "1", "objectIdToMerge": "2"}, ()),
    "property": ("/crm/v3/properties/deals", PROPERTY, ()),
    "schema": ("/crm-object-schemas/v3/schemas", SCHEMA, ()),
    "link": ("/crm/v4/associations/deals/companies/batch/create", {"inputs": [PAIR]}, ("inputs", 0)),
    "unlink": ("/crm/v4/associations/deals/companies/batch/archive", {"inputs": [PAIR]}, ("inputs", 0)),
    "label": ("/crm/v4/associations/deals/companies/labels", {"label": "L", "name": "l", "inverseLabel": "M"}, ()),
    "pipeline": ("/crm/v3/pipelines/deals", {"label": "P", "stages": [{"label": "S", "metadata": {}}]}, ()),
    "rate": ("/settings/v3/currencies/exchange-rates", {"fromCurrencyCode": "GBP", "conversionRate": 1,
                                                        "effectiveAt": "2026-01-01"}, ()),
}  # fmt: skip
quick = settings(
    max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", list(BODIES))
@given(data=st.data())
@quick
def test_one_field_is_nonsense(hubspot: HubSpot, name: str, data: Any) -> None:
    path, whole, where_ = BODIES[name]
    body = json.loads(json.dumps(whole))
    inner = body
    for step in where_:
        inner = inner[step]
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(VALUES)
    answer = hubspot.http.post(path, content=json.dumps(body))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["status"] == "error" and answer.json()["message"], answer.text
    for check in ("/crm/v3/objects/deals", "/crm/v3/properties/deals", "/"):
        assert hubspot.http.get(check).status_code == 200


@pytest.mark.parametrize(
    "content", [b"{", b"3", b"[]", b'"x"', b"null", b"\xff", b"[" * 20_000, b'{"inputs": {}}', b""]
)
def test_bodies_that_are_no_request(hubspot: HubSpot, content: bytes) -> None:
    for path, _, _ in BODIES.values():
        answer = hubspot.http.post(path, content=content)
        allowed = (400, 200) if path.endswith("/search") else (400,)
        assert answer.status_code in allowed, (path, answer.text)


def test_objects_and_paths_that_are_not_there(hubspot: HubSpot) -> None:
    assert hubspot.refused("GET", "/crm/v3/objects/spoons")[0] == 400
    assert hubspot.refused("GET", "/crm/v3/objects/deals/12345")[:2] == (404, "OBJECT_NOT_FOUND")
    assert hubspot.refused("GET", "/crm/v3/objects/deals/abc")[0] == 404
    company = hubspot.make("companies", name="C")
    assert hubspot.refused("GET", f"/crm/v3/objects/deals/{company}")[0] == 404
    assert hubspot.refused("PATCH", f"/crm/v3/objects/deals/{company}", {"properties": {}})[0] == 404
    assert hubspot.call("GET", "/crm/v9/nothing")[0] == 404
    assert hubspot.refused("PUT", "/crm/v3/objects/deals", {})[0] == 405
    for query in ({"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"after": "x"}):
        assert hubspot.refused("GET", "/crm/v3/objects/deals", **query)[:2] == (400, "VALIDATION_ERROR")


def test_too_many_inputs(hubspot: HubSpot) -> None:
    for what in ("read", "create", "update", "upsert", "archive"):
        body = {"inputs": [{"id": str(n), "properties": {}} for n in range(1, 102)]}
        status, category, message = hubspot.refused("POST", f"/crm/v3/objects/deals/batch/{what}", body)
        assert (status, category) == (400, "VALIDATION_ERROR") and "100" in message


def test_keys_and_numbers_that_the_sandbox_itself_could_not_keep(hubspot: HubSpot) -> None:
    tag = {"\0decimal": "x"}
    stages = [{"label": "S", "metadata": tag}]
    assert hubspot.refused("POST", "/crm/v3/pipelines/deals", {"label": "P", "stages": stages})[0] == 400
    hubspot.property("deals", "own")
    for field in ("label", "hidden", "displayOrder", "options", "type"):
        assert hubspot.refused("PATCH", "/crm/v3/properties/deals/own", {field: tag})[0] == 400
    assert hubspot.make("deals", dealname="\0decimal \ud800")
    long, deal = "9" * 5000, hubspot.make("deals", dealname="D")
    path = f"/crm/v4/objects/deals/{deal}/associations/companies"
    assert hubspot.refused("GET", path, after=long)[0] == 400
    assert hubspot.refused("GET", "/settings/v3/currencies/exchange-rates", after=long)[0] == 400
    assert hubspot.refused("POST", "/crm/v3/objects/deals/search", {"after": long})[0] == 400
    assert hubspot.refused("POST", "/crm/v3/objects/deals", {"properties": {"amount": long}})[0] == 400
