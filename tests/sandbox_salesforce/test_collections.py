"""sObject Collections: order, partial success, all or none; trees, composite calls and batches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox_salesforce.conftest import ROOT, Api, Shop

COLLECTION = "composite/sobjects"


def account(**fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": "Account"}, **fields}


@pytest.fixture
def coded(api: Api) -> Api:
    field = {"name": "Code__c", "type": "Text", "length": 36, "externalId": True, "unique": True}
    api.door("metadata", {"fields": {"Account": [field]}})
    return api


def test_results_keep_the_order_and_some_may_fail(api: Api) -> None:
    status, items = api.call("POST", COLLECTION, {"records": [account(Name="A"), account(), account(Name="C")]})
    assert status == 200
    assert [item["success"] for item in items] == [True, False, True]
    assert items[1] == {
        "success": False,
        "errors": [
            {
                "statusCode": "REQUIRED_FIELD_MISSING",
                "message": "Required fields are missing: [Name]",
                "fields": ["Name"],
            }
        ],
    }
    assert api.get("Account", items[2]["id"])["Name"] == "C"


def test_all_or_none(api: Api) -> None:
    body = {"allOrNone": True, "records": [account(Name="A"), account()]}
    status, items = api.call("POST", COLLECTION, body)
    assert status == 200
    assert items[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert items[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert api.query("SELECT Id FROM Account") == []


def test_updates_and_deletes(api: Api) -> None:
    first, second, gone = (api.create("Account", Name=name) for name in ("A", "B", "C"))
    api.call("DELETE", f"sobjects/Account/{gone}")
    records = [
        account(id=first, Name="A2"),
        account(Id=second[:15], Name="B2"),
        account(id=gone, Name="x"),
        account(id="001Ws0000000zzz", Name="x"),
        account(Name="x"),
        account(id="801Ws0000000001", Name="x"),
    ]
    _, items = api.call("PATCH", COLLECTION, {"records": records})
    codes = [item["errors"][0]["statusCode"] if item["errors"] else item["id"] for item in items]
    expected = [first, second, "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MISSING_ARGUMENT", "MALFORMED_ID"]
    assert codes == expected
    assert sorted(api.column("SELECT Name FROM Account")) == ["A2", "B2"]
    _, items = api.call("DELETE", f"{COLLECTION}?ids={first},{gone},abc&allOrNone=false")
    assert [item["success"] for item in items] == [True, False, False]
    assert api.column("SELECT Name FROM Account") == ["B2"]


def test_a_locked_row_is_refused_as_often_as_told(api: Api) -> None:
    first, second = (api.create("Account", Name=name) for name in "AB")
    api.door("lock", {"ids": [first], "times": 1})
    records = {"records": [account(id=id_, Site="x") for id_ in (first, second)]}
    _, items = api.call("PATCH", COLLECTION, records)
    assert items[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW" and items[1]["success"]
    _, items = api.call("PATCH", COLLECTION, records)
    assert all(item["success"] for item in items)


def test_upserts(coded: Api) -> None:
    path = f"{COLLECTION}/Account/Code__c"
    _, items = coded.call("PATCH", path, {"records": [account(Code__c="1", Name="A"), account(Code__c="2", Name="B")]})
    assert [item["created"] for item in items] == [True, True]
    records = [
        account(Code__c="1", Name="A2"),
        account(Code__c="3"),
        account(Code__c="1", Name="A3"),
        account(Name="x"),
    ]
    _, items = coded.call("PATCH", path, {"records": records})
    assert items[0]["created"] is False and items[0]["success"]
    codes = [item["errors"][0]["statusCode"] for item in items[1:]]
    assert codes == ["REQUIRED_FIELD_MISSING", "DUPLICATE_VALUE", "MISSING_ARGUMENT"]
    assert coded.column("SELECT Name FROM Account ORDER BY Name") == ["A2", "B"]


def test_limits_of_a_collection(api: Api, shop: Shop) -> None:
    many = {"records": [account(Name="A")] * 201}
    assert api.refusal("POST", COLLECTION, many)[:2] == (400, "EXCEEDED_ID_LIMIT")
    product = {"attributes": {"type": "Product2"}, "Name": "P"}
    mixed = {"records": [account(Name="A"), product] * 6}
    assert api.refusal("POST", COLLECTION, mixed)[0] == 400
    assert api.call("POST", COLLECTION, {"records": [account(Name="A"), product] * 5})[0] == 200
    assert api.refusal("POST", COLLECTION, {"records": [{"Name": "A"}]})[1] == "INVALID_TYPE"
    assert api.refusal("POST", COLLECTION, {"records": [account(Nope="A")]})[1] == "INVALID_FIELD"


def test_reading_many(api: Api) -> None:
    first, second = api.create("Account", Name="A"), api.create("Account", Name="B")
    missing = "001Ws0000000zzz"
    url = f"{COLLECTION}/Account?ids={second},{missing},{first}&fields=Name"
    status, records = api.call("GET", url)
    assert status == 200
    assert [record and record["Name"] for record in records] == ["B", None, "A"]
    _, same = api.call("POST", f"{COLLECTION}/Account", {"ids": [second, missing, first], "fields": ["Name"]})
    assert same == records


def test_an_item_can_be_missing_from_the_answer(api: Api) -> None:
    api.plan.load({"rules": [{"fault": "item_missing", "times": 1, "params": {"index": 1}}]})
    _, items = api.call("POST", COLLECTION, {"records": [account(Name=name) for name in "ABC"]})
    assert [api.get("Account", item["id"])["Name"] for item in items] == ["A", "C"]
    assert len(api.query("SELECT Id FROM Account")) == 3


def test_lines_of_several_orders_in_one_call(api: Api, shop: Shop) -> None:
    orders = [shop.order() for _ in range(2)]
    line = {"attributes": {"type": "OrderItem"}, "PricebookEntryId": shop.entry, "UnitPrice": 2}
    records = [{**line, "OrderId": order, "Quantity": number} for order in orders for number in (1, 2)]
    _, items = api.call("POST", COLLECTION, {"records": records})
    assert all(item["success"] for item in items)
    assert [str(api.get("Order", order)["TotalAmount"]) for order in orders] == ["6.0", "6.0"]
    _, items = api.call(
        "POST", COLLECTION, {"allOrNone": True, "records": [records[0], {**records[0], "Quantity": None}]}
    )
    assert not any(item["success"] for item in items)
    assert str(api.get("Order", orders[0])["TotalAmount"]) == "6.0"


def test_trees(api: Api) -> None:
    child = {"attributes": {"type": "Contact", "referenceId": "c1"}, "LastName": "Doe"}
    parent = {"attributes": {"type": "Account", "referenceId": "a1"}, "Name": "A", "Contacts": {"records": [child]}}
    status, body = api.call("POST", "composite/tree/Account", {"records": [parent]})
    assert status == 201 and body["hasErrors"] is False
    assert [one["referenceId"] for one in body["results"]] == ["a1", "c1"]
    assert api.get("Contact", body["results"][1]["id"])["AccountId"] == body["results"][0]["id"]
    child.pop("LastName")
    status, body = api.call("POST", "composite/tree/Account", {"records": [parent]})
    assert status == 400 and body["hasErrors"]
    assert body["results"][0]["referenceId"] == "c1"
    assert len(api.query("SELECT Id FROM Account")) == 1


def composite(api: Api, calls: list[dict[str, Any]], *, all_or_none: bool) -> list[dict[str, Any]]:
    status, body = api.call("POST", "composite", {"allOrNone": all_or_none, "compositeRequest": calls})
    assert status == 200
    answers: list[dict[str, Any]] = body["compositeResponse"]
    return answers


def test_composite_calls_use_earlier_answers(api: Api) -> None:
    calls = [
        {"method": "POST", "url": f"{ROOT}/sobjects/Account", "referenceId": "acc", "body": {"Name": "A"}},
        {
            "method": "POST",
            "url": f"{ROOT}/sobjects/Contact",
            "referenceId": "con",
            "body": {"LastName": "Doe", "AccountId": "@{acc.id}"},
        },
        {"method": "GET", "url": f"{ROOT}/query?q=SELECT+Name+FROM+Account+WHERE+Id='@{{acc.id}}'", "referenceId": "q"},
        {"method": "GET", "url": f"{ROOT}/sobjects/Contact/@{{con.id}}?fields=AccountId", "referenceId": "g"},
        {"method": "GET", "url": f"{ROOT}/sobjects/Contact/@{{nope.id}}", "referenceId": "bad"},
    ]
    answers = composite(api, calls, all_or_none=False)
    assert [answer["httpStatusCode"] for answer in answers] == [201, 201, 200, 200, 400]
    assert answers[2]["body"]["records"][0]["Name"] == "A"
    assert answers[3]["body"]["AccountId"] == answers[0]["body"]["id"]
    assert answers[4]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert [answer["referenceId"] for answer in answers] == ["acc", "con", "q", "g", "bad"]


def test_composite_all_or_none(api: Api) -> None:
    post = {"method": "POST", "url": f"{ROOT}/sobjects/Account"}
    calls = [
        {**post, "referenceId": "a", "body": {"Name": "A"}},
        {**post, "referenceId": "b", "body": {}},
        {**post, "referenceId": "c", "body": {"Name": "C"}},
    ]
    answers = composite(api, calls, all_or_none=True)
    assert [answer["httpStatusCode"] for answer in answers] == [400, 400, 400]
    codes = [answer["body"][0]["errorCode"] for answer in answers]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert api.query("SELECT Id FROM Account") == []
    too_many = {"compositeRequest": [{**post, "referenceId": str(n), "body": {}} for n in range(26)]}
    assert api.refusal("POST", "composite", too_many)[0] == 400


def test_batches(api: Api) -> None:
    calls = [
        {"method": "POST", "url": "v59.0/sobjects/Account", "richInput": {"Name": "A"}},
        {"method": "GET", "url": "v59.0/sobjects/Account/001Ws0000000zzz"},
        {"method": "GET", "url": "v59.0/limits"},
    ]
    _, body = api.call("POST", "composite/batch", {"batchRequests": calls})
    assert body["hasErrors"] and [one["statusCode"] for one in body["results"]] == [201, 404, 200]
    _, body = api.call("POST", "composite/batch", {"batchRequests": calls, "haltOnError": True})
    assert [one["statusCode"] for one in body["results"]] == [201, 404, 412]
