"""Values, unique properties, archives, merges, calculated properties, custom objects."""

from __future__ import annotations

import pytest

from tests.sandbox_hubspot.conftest import HubSpot, spec, where


@pytest.mark.parametrize("amount", ["123456789012345678", "0.123456789012345678", "1234567890.12345678", "-0.10", "5"])
def test_decimals_come_back_as_they_were_sent(hubspot: HubSpot, amount: str) -> None:
    deal = hubspot.make("deals", dealname="D", amount=amount)
    assert hubspot.get(f"/crm/v3/objects/deals/{deal}")["properties"]["amount"] == amount
    raw = hubspot.http.post("/crm/v3/objects/deals", content=f'{{"properties": {{"amount": {amount}}}}}').json()
    assert raw["properties"]["amount"] == amount
    assert hubspot.search("deals", where("amount", "EQ", amount))["total"] == 2


def test_texts_come_back_as_they_were_sent(hubspot: HubSpot) -> None:
    for text in ("Ünïcode", "株式会社", "🧾 a\u200bb", "a'b\"c\\d <b>&amp;", " spaces ", "x" * 65_536):
        company = hubspot.make("companies", name=text)
        assert hubspot.get(f"/crm/v3/objects/companies/{company}")["properties"]["name"] == text
    assert "株式会社" in hubspot.http.get("/").text


def test_dates_and_times(hubspot: HubSpot) -> None:
    hubspot.property("deals", "day", "date", "date")
    for sent in ("2026-03-01", "1772323200000", "2026-03-01T00:00:00Z", 1772323200000):
        deal = hubspot.make("deals", day=sent)
        assert hubspot.get(f"/crm/v3/objects/deals/{deal}", properties="day")["properties"]["day"] == "2026-03-01"
    for wrong in ("2026-03-01T10:00:00Z", "1772323200001", "2026-02-30", "soon"):
        status, category, message = hubspot.refused("POST", "/crm/v3/objects/deals", {"properties": {"day": wrong}})
        assert (status, category) == (400, "VALIDATION_ERROR") and "INVALID_DATE" in message
    for sent, kept in (
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        ("2026-03-01T23:30:00+02:00", "2026-03-01T21:30:00Z"),
        ("1772323200123", "2026-03-01T00:00:00.123Z"),
    ):
        deal = hubspot.make("deals", closedate=sent)
        assert hubspot.get(f"/crm/v3/objects/deals/{deal}")["properties"]["closedate"] == kept


def test_wrong_values_are_named_all_at_once(hubspot: HubSpot) -> None:
    sent = {"nosuch": "1", "amount": "abc", "dealtype": "old", "hs_object_id": "1", "hubspot_owner_id": "9"}
    status, answer = hubspot.call("POST", "/crm/v3/objects/deals", {"properties": sent | {"dealname": "D"}})
    assert status == 400 and answer["message"].startswith("Property values were not valid: [{")
    codes = {error["context"]["propertyName"][0]: error["code"] for error in answer["errors"]}
    assert codes == {
        "nosuch": "PROPERTY_DOESNT_EXIST",
        "amount": "INVALID_NUMBER",
        "dealtype": "INVALID_OPTION",
        "hs_object_id": "READ_ONLY_VALUE",
        "hubspot_owner_id": "INVALID_OWNER_ID",
    }
    assert hubspot.refused("POST", "/crm/v3/objects/deals", {"properties": {"dealstage": "nowhere"}})[0] == 400


def test_values_are_cleared(hubspot: HubSpot) -> None:
    deal = hubspot.make("deals", dealname="D", amount="1")
    for empty in ("", None):
        hubspot.ok("PATCH", f"/crm/v3/objects/deals/{deal}", {"properties": {"amount": empty}})
        assert hubspot.get(f"/crm/v3/objects/deals/{deal}")["properties"]["amount"] is None


def test_unique_values(hubspot: HubSpot) -> None:
    hubspot.property("deals", "own", hasUniqueValue=True)
    first = hubspot.make("deals", own="A")
    status, answer = hubspot.call("POST", "/crm/v3/objects/deals", {"properties": {"own": "a"}})
    assert status == 400 and answer["errors"][0]["code"] == "CONFLICTING_UNIQUE_VALUE"
    assert hubspot.get("/crm/v3/objects/deals/A", idProperty="own")["id"] == first
    assert hubspot.refused("GET", "/crm/v3/objects/deals/A", idProperty="dealname")[0] == 400
    hubspot.ok("DELETE", f"/crm/v3/objects/deals/{first}")
    assert hubspot.make("deals", own="A") != first
    ann = hubspot.make("contacts", email="ann@example.com")
    refused = hubspot.refused("POST", "/crm/v3/objects/contacts", {"properties": {"email": "ANN@example.com"}})
    assert refused == (409, "CONFLICT", f"Contact already exists. Existing ID: {ann}")


def test_archived_records(hubspot: HubSpot) -> None:
    deal = hubspot.make("deals", dealname="D")
    hubspot.ok("DELETE", f"/crm/v3/objects/deals/{deal}")
    hubspot.ok("DELETE", f"/crm/v3/objects/deals/{deal}")
    assert hubspot.get("/crm/v3/objects/deals")["results"] == []
    found = hubspot.get("/crm/v3/objects/deals", archived="true")["results"]
    assert [(one["id"], one["archived"], "archivedAt" in one) for one in found] == [(deal, True, True)]
    assert hubspot.search("deals")["total"] == 0
    body = {"inputs": [{"id": deal}], "properties": ["dealname"]}
    assert hubspot.call("POST", "/crm/v3/objects/deals/batch/read", body)[0] == 207
    assert hubspot.ok("POST", "/crm/v3/objects/deals/batch/read", body, archived="true")["results"][0]["id"] == deal


def test_an_archived_record_comes_back_under_its_id(hubspot: HubSpot) -> None:
    company = hubspot.make("companies", name="Back")
    hubspot.ok("DELETE", f"/crm/v3/objects/companies/{company}")
    hubspot.ok("POST", f"/_sandbox/restore/companies/{company}")
    shown = hubspot.get(f"/crm/v3/objects/companies/{company}", properties="name")
    assert (shown["archived"], shown["properties"]["name"]) == (False, "Back")
    assert hubspot.get("/crm/v3/objects/companies", archived="true")["results"] == []
    assert hubspot.call("POST", f"/_sandbox/restore/companies/{company}")[0] == 404


def test_a_contact_is_deleted_for_data_protection(hubspot: HubSpot) -> None:
    by_id, by_mail = (hubspot.make("contacts", email=f"{name}@example.com") for name in "ab")
    door = "/crm/v3/objects/contacts/gdpr-delete"
    hubspot.ok("POST", door, {"objectId": by_id})
    hubspot.ok("POST", door, {"objectId": "b@example.com", "idProperty": "email"})
    hubspot.ok("POST", door, {"objectId": "b@example.com", "idProperty": "email"})
    assert hubspot.refused("POST", door, {"objectId": by_id})[0] == 404
    for archived in ("false", "true"):
        assert hubspot.get("/crm/v3/objects/contacts", archived=archived)["results"] == []
    assert hubspot.refused("GET", f"/crm/v3/objects/contacts/{by_mail}", archived="true")[0] == 404


def test_merge_makes_a_new_record_that_both_ids_lead_to(hubspot: HubSpot) -> None:
    one, two = hubspot.make("companies", name="One"), hubspot.make("companies", name="Two", city="Rome")
    deal = hubspot.make("deals", [{"to": {"id": two}, "types": [spec(341)]}], dealname="D")
    body = {"primaryObjectId": one, "objectIdToMerge": two}
    new = hubspot.ok("POST", "/crm/v3/objects/companies/merge", body)
    assert new["id"] not in (one, two) and new["properties"]["name"] == "One" and new["properties"]["city"] == "Rome"
    for id_ in (one, two, new["id"]):
        read = hubspot.get(f"/crm/v3/objects/companies/{id_}", properties="hs_merged_object_ids")
        assert read["id"] == new["id"] and read["properties"]["hs_merged_object_ids"] == f"{one};{two}"
    assert [row["id"] for row in hubspot.get("/crm/v3/objects/companies")["results"]] == [new["id"]]
    assert hubspot.get("/crm/v3/objects/companies", archived="true")["results"] == []
    linked = hubspot.get(f"/crm/v4/objects/deals/{deal}/associations/companies")["results"]
    assert [row["toObjectId"] for row in linked] == [new["id"]]
    third = hubspot.make("companies", name="Three")
    last = hubspot.ok(
        "POST", "/crm/v3/objects/companies/merge", {"primaryObjectId": third, "objectIdToMerge": new["id"]}
    )
    assert hubspot.get(f"/crm/v3/objects/companies/{one}")["id"] == last["id"]


def test_a_deal_closes_by_its_stage(hubspot: HubSpot) -> None:
    deal = hubspot.make("deals", dealname="D", dealstage="contractsent")
    names = "pipeline,hs_is_closed,hs_is_closed_won,hs_is_closed_lost,hs_deal_stage_probability"

    def state() -> list[str]:
        read = hubspot.get(f"/crm/v3/objects/deals/{deal}", properties=names)["properties"]
        return [read[name] for name in names.split(",")]

    assert state() == ["default", "false", "false", "false", "0.9"]
    hubspot.ok("PATCH", f"/crm/v3/objects/deals/{deal}", {"properties": {"dealstage": "closedwon"}})
    assert state() == ["default", "true", "true", "false", "1.0"]
    hubspot.ok("PATCH", f"/crm/v3/objects/deals/{deal}", {"properties": {"dealstage": "closedlost"}})
    assert state() == ["default", "true", "false", "true", "0.0"]


def test_a_ticket_needs_a_stage_and_takes_the_pipeline_of_it(hubspot: HubSpot) -> None:
    assert hubspot.refused("POST", "/crm/v3/objects/tickets", {"properties": {"subject": "S"}})[0] == 400
    body = {"properties": {"subject": "S", "hs_pipeline": "returns", "hs_pipeline_stage": "new"}}
    assert hubspot.ok("POST", "/crm/v3/objects/tickets", body)["properties"]["hs_pipeline"] == "returns"
    wrong = {"properties": {"subject": "S", "hs_pipeline": "0", "hs_pipeline_stage": "new"}}
    assert "INVALID_OPTION" in str(hubspot.call("POST", "/crm/v3/objects/tickets", wrong)[1])


def test_line_items_take_from_the_product_and_work_out_the_amount(hubspot: HubSpot) -> None:
    product = hubspot.make("products", name="Bolt", price="2.50", hs_sku="B1")
    for sent, amount in (
        ({"quantity": "3"}, "7.5"),
        ({"quantity": "3", "discount": "0.50"}, "6"),
        ({"quantity": "3", "hs_discount_percentage": "10"}, "6.75"),
        ({"quantity": "3", "price": "1.111111111111111111"}, "3.333333333333333333"),
    ):
        line = hubspot.make("line_items", hs_product_id=product, **sent)
        read = hubspot.get(f"/crm/v3/objects/line_items/{line}", properties="name,amount,hs_sku")["properties"]
        assert (read["name"], read["hs_sku"], read["amount"]) == ("Bolt", "B1", amount)
    assert hubspot.refused("POST", "/crm/v3/objects/line_items", {"properties": {"hs_product_id": "1"}})[0] == 400


def test_custom_objects_have_four_names(hubspot: HubSpot) -> None:
    body = {
        "name": "returns",
        "labels": {"singular": "Return", "plural": "Returns"},
        "primaryDisplayProperty": "number",
        "requiredProperties": ["number"],
        "properties": [
            {"name": "number", "label": "Number", "type": "string", "fieldType": "text", "hasUniqueValue": True}
        ],
        "associatedObjects": ["COMPANY", "0-123"],
    }
    made = hubspot.ok("POST", "/crm/v3/schemas", body)
    assert made["objectTypeId"].startswith("2-") and made["fullyQualifiedName"] == "p62515_returns"
    assert hubspot.refused("POST", "/crm/v3/schemas", body)[0] == 409
    assert hubspot.refused("POST", "/crm/v3/objects/returns", {"properties": {}})[:2] == (400, "VALIDATION_ERROR")
    record = hubspot.make("returns", number="R1")
    for name in ("returns", "p_returns", "p62515_returns", made["objectTypeId"]):
        assert hubspot.get(f"/crm/v3/objects/{name}/{record}")["properties"]["number"] == "R1"
    company = hubspot.make("companies", name="C")
    hubspot.ok("PUT", f"/crm/v4/objects/p_returns/{record}/associations/default/companies/{company}")
    read = hubspot.get(f"/crm/v3/objects/companies/{company}", associations="p_returns")
    assert [one["id"] for one in read["associations"]["p62515_returns"]["results"]] == [record]
    deal = hubspot.make("deals", dealname="D")
    assert hubspot.refused("PUT", f"/crm/v4/objects/p_returns/{record}/associations/default/deals/{deal}")[0] == 400


def test_properties_are_defined_once_and_by_rule(hubspot: HubSpot) -> None:
    hubspot.property("deals", "own", "enumeration", "select", options=[{"label": "A", "value": "a"}])
    again = {"name": "own", "label": "x", "type": "string", "fieldType": "text", "groupName": "dealinformation"}
    assert hubspot.refused("POST", "/crm/v3/properties/deals", again)[0] == 409
    for change in ({"name": "Own"}, {"name": "own2", "groupName": "no"}, {"name": "own2", "fieldType": "number"}):
        assert hubspot.refused("POST", "/crm/v3/properties/deals", again | change)[0] == 400
    hubspot.ok("DELETE", "/crm/v3/properties/deals/own")
    assert hubspot.refused("GET", "/crm/v3/properties/deals/own")[0] == 404
    assert hubspot.refused("DELETE", "/crm/v3/properties/deals/amount")[0] == 400
    assert "own" not in [one["name"] for one in hubspot.get("/crm/v3/properties/deals")["results"]]


def test_pages_neither_lose_nor_repeat_while_records_change(hubspot: HubSpot) -> None:
    ids = hubspot.load("deals", [{"properties": {"dealname": str(n)}} for n in range(50)])
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = hubspot.get("/crm/v3/objects/deals", limit=10, **after)
        seen += [one["id"] for one in page["results"]]
        hubspot.ok("DELETE", f"/crm/v3/objects/deals/{seen[0 if len(seen) <= 10 else 5]}")
        hubspot.ok("PATCH", f"/crm/v3/objects/deals/{ids[-1]}", {"properties": {"dealname": "changed"}})
        if "paging" not in page:
            break
        after = {"after": page["paging"]["next"]["after"]}
        if len(seen) == 20:  # the very record at which the next page was to begin
            hubspot.ok("DELETE", f"/crm/v3/objects/deals/{after['after']}")
    assert seen == ids[:20] + ids[21:]
