"""What is checked before a record is saved, and what the organisation fills in itself."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_salesforce.conftest import ROOT, Api, Shop

FIELDS = {
    "fields": {
        "Account": [
            {"name": "Code__c", "type": "Text", "length": 36, "externalId": True, "unique": True},
            {"name": "Loose__c", "type": "Text", "length": 36, "externalId": True},
            {"name": "Kind__c", "type": "Picklist", "values": ["a", "b"], "restricted": True},
            {"name": "Rate__c", "type": "Number", "precision": 18, "scale": 6},
            {"name": "Paid__c", "type": "Currency", "precision": 18, "scale": 2},
            {"name": "On__c", "type": "Date"},
            {"name": "Is__c", "type": "Checkbox"},
        ]
    }
}


@pytest.fixture
def custom(api: Api) -> Api:
    api.door("metadata", FIELDS)
    return api


def test_a_record_gets_its_system_fields(api: Api) -> None:
    record = api.get("Account", api.create("Account", Name="Acme"))
    stamps = {record[name] for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp")}
    assert len(stamps) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", stamps.pop())
    assert record["IsDeleted"] is False and record["CurrencyIsoCode"] == "USD"
    assert record["OwnerId"] == record["CreatedById"] == record["LastModifiedById"]
    assert re.fullmatch(r"001\w{15}", record["Id"])


def test_a_change_moves_the_time_stamps(api: Api) -> None:
    id_ = api.create("Account", Name="Acme")
    api.state.settings["clock_offset_seconds"] = 10
    api.change("Account", id_, Name="Acme Ltd")
    record = api.get("Account", id_)
    assert record["SystemModstamp"] == record["LastModifiedDate"] > record["CreatedDate"]


def test_time_stamps_can_be_kept_to_the_second(api: Api) -> None:
    api.state.settings["modstamp_precision"] = "seconds"
    assert api.get("Account", api.create("Account", Name="A"))["SystemModstamp"].endswith(".000+0000")


@pytest.mark.parametrize(
    ("fields", "code", "message", "names"),
    [
        ({}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ["Name"]),
        ({"Name": "  "}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ["Name"]),
        (
            {"Name": "x" * 256},
            "STRING_TOO_LONG",
            f"Account Name: data value too large: {'x' * 80} (max length=255)",
            ["Name"],
        ),
        (
            {"Name": "A", "CurrencyIsoCode": "XXX"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Currency ISO Code: bad value for restricted picklist field: XXX",
            ["CurrencyIsoCode"],
        ),
        (
            {"Name": "A", "Kind__c": "c"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Kind: bad value for restricted picklist field: c",
            ["Kind__c"],
        ),
        ({"Name": "A", "ParentId": "zzz"}, "MALFORMED_ID", "Parent ID: id value of incorrect type: zzz", ["ParentId"]),
        (
            {"Name": "A", "ParentId": "001Ws0000000zzz"},
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            ["ParentId"],
        ),
        (
            {"Name": "A", "Rate__c": 10**12},
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Rate: value outside of valid range on numeric field: 1000000000000.0",
            ["Rate__c"],
        ),
        (
            {"Name": "A", "SystemModstamp": "2026-01-01T00:00:00Z"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: SystemModstamp. Please check the security settings of this field and"
            " verify that it is read/write for your profile or permission set.",
            ["SystemModstamp"],
        ),
    ],
)
def test_wrong_records_are_refused(
    custom: Api, fields: dict[str, Any], code: str, message: str, names: list[str]
) -> None:
    status, errors = custom.call("POST", "sobjects/Account", fields)
    assert status == 400
    assert errors == [{"message": message, "errorCode": code, "fields": names}]
    assert custom.query("SELECT Id FROM Account") == []


@pytest.mark.parametrize(
    ("fields", "code", "part"),
    [
        ({"Nope__c": 1}, "INVALID_FIELD", "No such column 'Nope__c' on sobject of type Account"),
        ({"Rate__c": "abc"}, "JSON_PARSER_ERROR", "Cannot deserialize instance of double from VALUE_STRING value abc"),
        ({"On__c": "31.01.2026"}, "JSON_PARSER_ERROR", "Cannot deserialize instance of date from VALUE_STRING"),
        ({"On__c": "2026-02-30"}, "JSON_PARSER_ERROR", "Cannot deserialize instance of date from VALUE_STRING"),
        ({"Is__c": "yes"}, "JSON_PARSER_ERROR", "Cannot deserialize instance of boolean from VALUE_STRING"),
        ({"Is__c": None}, "JSON_PARSER_ERROR", "Cannot deserialize instance of boolean from VALUE_NULL"),
        ({"Name": {"a": 1}}, "JSON_PARSER_ERROR", "Cannot deserialize instance of string from START_OBJECT"),
        ({"NumberOfEmployees": 1.5}, "JSON_PARSER_ERROR", "Cannot deserialize instance of int from VALUE_NUMBER_FLOAT"),
    ],
)
def test_values_that_cannot_be_read(custom: Api, fields: dict[str, Any], code: str, part: str) -> None:
    status, found, message = custom.refusal("POST", "sobjects/Account", {"Name": "A", **fields})
    assert (status, found) == (400, code)
    assert part in message


def test_a_body_that_is_no_json(api: Api) -> None:
    answer = api.client.post(f"{ROOT}/sobjects/Account", content=b"{")
    assert answer.status_code == 400 and answer.json()[0]["errorCode"] == "JSON_PARSER_ERROR"
    assert api.refusal("POST", "sobjects/Account", [1])[1] == "JSON_PARSER_ERROR"


def test_numbers_keep_their_digits(custom: Api) -> None:
    id_ = custom.create("Account", Name="A", Rate__c="123456789012.123456")
    assert custom.get("Account", id_)["Rate__c"] == Decimal("123456789012.123456")
    raw = custom.client.get(f"{ROOT}/sobjects/Account/{id_}").content
    assert b'"Rate__c":123456789012.123456' in raw
    body = b'{"Paid__c": 1234567890123456.78}'
    assert custom.client.patch(f"{ROOT}/sobjects/Account/{id_}", content=body).status_code == 204
    assert b'"Paid__c":1234567890123456.78' in custom.client.get(f"{ROOT}/sobjects/Account/{id_}").content


@pytest.mark.parametrize(
    ("currency", "given", "kept"),
    [("USD", "1.005", "1.01"), ("USD", "-1.005", "-1.01"), ("JPY", "10.5", "11.0"), ("KWD", "1.0005", "1.001")],
)
def test_money_is_rounded_to_its_currency(custom: Api, currency: str, given: str, kept: str) -> None:
    id_ = custom.create("Account", Name="A", CurrencyIsoCode=currency, Paid__c=given)
    assert str(custom.get("Account", id_)["Paid__c"]) == kept


def test_unique_values_are_unique_without_regard_to_case(custom: Api) -> None:
    first = custom.create("Account", Name="A", Code__c="abc")
    _, code, message = custom.refusal("POST", "sobjects/Account", {"Name": "B", "Code__c": "ABC"})
    assert code == "DUPLICATE_VALUE"
    assert message == f"duplicate value found: Code__c duplicates value on record with id: {first[:15]}"
    custom.change("Account", first, Code__c="ABC")
    custom.call("DELETE", f"sobjects/Account/{first}")
    custom.create("Account", Name="B", Code__c="abc")


def test_a_case_sensitive_key_tells_case_apart(api: Api) -> None:
    key = {"name": "Key__c", "type": "Text", "length": 36, "externalId": True, "unique": True, "caseSensitive": True}
    api.door("metadata", {"fields": {"Account": [key]}})
    api.create("Account", Name="small", Key__c="abc")
    api.create("Account", Name="large", Key__c="ABC")
    assert api.column("SELECT Name FROM Account WHERE Key__c = 'ABC'") == ["large"]
    assert api.column("SELECT Name FROM Account WHERE Key__c IN ('abc', 'Abc')") == ["small"]
    assert api.call("GET", "sobjects/Account/Key__c/abc")[1]["Name"] == "small"


def test_upsert_by_external_id(custom: Api) -> None:
    path = "sobjects/Account/Code__c/A-1"
    status, made = custom.call("PATCH", path, {"Name": "First"})
    assert (status, made["created"], made["success"]) == (201, True, True)
    assert custom.call("PATCH", path, {"Name": "Second"}) == (200, {**made, "created": False})
    status, record = custom.call("GET", path)
    assert (record["Id"], record["Name"], record["Code__c"]) == (made["id"], "Second", "A-1")
    assert custom.refusal("PATCH", path, {"Code__c": "x"})[1] == "INVALID_FIELD"
    assert custom.refusal("PATCH", "sobjects/Account/Code__c/none?updateOnly=true", {"Name": "x"})[0] == 404
    assert custom.refusal("GET", "sobjects/Account/Code__c/none")[0] == 404
    assert custom.refusal("PATCH", "sobjects/Account/Site/x", {"Name": "x"})[0] == 404
    assert custom.call("DELETE", path)[0] == 204


def test_an_external_id_may_hold_a_slash(custom: Api) -> None:
    status, made = custom.call("PATCH", "sobjects/Account/Code__c/INV%2F1%20a", {"Name": "First"})
    assert status == 201
    assert custom.get("Account", made["id"])["Code__c"] == "INV/1 a"


def test_an_external_id_that_matches_several_answers_300(custom: Api) -> None:
    ids = [custom.create("Account", Name="A", Loose__c="x") for _ in range(2)]
    urls = [f"{ROOT}/sobjects/Account/{id_}" for id_ in ids]
    assert custom.call("GET", "sobjects/Account/Loose__c/x") == (300, urls)
    assert custom.call("PATCH", "sobjects/Account/Loose__c/x", {"Name": "B"}) == (300, urls)


def test_references_by_external_id(custom: Api) -> None:
    parent = custom.create("Account", Name="Parent", Code__c="P")
    child = custom.create("Account", Name="Child", Parent={"Code__c": "P"})
    assert custom.get("Account", child)["ParentId"] == parent
    _, code, message = custom.refusal("POST", "sobjects/Account", {"Name": "C", "Parent": {"Code__c": "Q"}})
    assert code == "INVALID_FIELD"
    assert message == "Foreign key external ID: Q not found for field Code__c in entity Account"


def test_records_that_are_not_there(api: Api) -> None:
    missing = "sobjects/Account/001Ws0000000zzz"
    for method in ("GET", "PATCH", "DELETE"):
        status, code, message = api.refusal(method, missing, {} if method == "PATCH" else None)
        assert (status, code, message) == (404, "NOT_FOUND", "The requested resource does not exist")
    gone = api.create("Account", Name="Gone")
    assert api.call("DELETE", f"sobjects/Account/{gone[:15]}") == (204, None)
    for method in ("GET", "PATCH", "DELETE"):
        status, code, message = api.refusal(method, f"sobjects/Account/{gone}", {} if method == "PATCH" else None)
        assert (status, code, message) == (404, "ENTITY_IS_DELETED", "entity is deleted")
    assert api.refusal("GET", "sobjects/Account/abc")[0] == 404
    assert api.refusal("GET", "sobjects/Nope")[:2] == (404, "NOT_FOUND")
    assert api.refusal("GET", "nope")[:2] == (404, "NOT_FOUND")
    assert api.refusal("PUT", "sobjects")[:2] == (405, "METHOD_NOT_ALLOWED")


def test_some_fields_of_a_record(api: Api) -> None:
    id_ = api.create("Account", Name="Acme", Site="x")
    _, record = api.call("GET", f"sobjects/Account/{id_}?fields=Name,Site")
    assert set(record) == {"attributes", "Name", "Site", "Id"}
    assert api.refusal("GET", f"sobjects/Account/{id_}?fields=Nope")[1] == "INVALID_FIELD"


def test_deleting_takes_what_belongs_to_it_along(api: Api, shop: Shop) -> None:
    contact = api.create("Contact", LastName="Doe", FirstName="Jo", AccountId=shop.account)
    assert api.get("Contact", contact)["Name"] == "Jo Doe"
    order = shop.order()
    line = shop.line(order)
    assert api.call("DELETE", f"sobjects/Account/{shop.account}")[0] == 204
    for sobject, id_ in (("Contact", contact), ("Order", order), ("OrderItem", line)):
        assert api.refusal("GET", f"sobjects/{sobject}/{id_}")[1] == "ENTITY_IS_DELETED"


def test_a_validation_rule_is_data(api: Api, shop: Shop) -> None:
    rule = {
        "object": "Order",
        "name": "Needs_PO",
        "when": [{"field": "Status", "equals": "Activated"}, {"field": "PoNumber", "blank": True}],
        "message": "An activated order needs a PO number.",
        "errorField": "PoNumber",
    }
    api.door("metadata", {"rules": [rule]})
    order = shop.order()
    shop.line(order)
    status, errors = api.call("PATCH", f"sobjects/Order/{order}", {"Status": "Activated"})
    assert status == 400
    assert errors == [
        {
            "message": "An activated order needs a PO number.",
            "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "fields": ["PoNumber"],
        }
    ]
    api.change("Order", order, Status="Activated", PoNumber="4711")
