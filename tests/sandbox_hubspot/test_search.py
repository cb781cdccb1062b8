"""The search: operators, groups, sorts, its 10,000 results, its lagging index."""

from __future__ import annotations

import pytest

from tests.sandbox_hubspot.conftest import HubSpot, where


def test_operators(hubspot: HubSpot) -> None:
    rows = {"A": ("Red pen", "1"), "B": ("blue-pen", "2.5"), "C": ("Green", "10"), "D": ("Red", None)}
    for sku, (name, price) in rows.items():
        hubspot.make("products", hs_sku=sku, name=name, price=price)

    def found(*filters: object) -> str:
        answer = hubspot.search("products", *filters, properties=["hs_sku"])  # type: ignore[arg-type]
        return "".join(sorted(one["properties"]["hs_sku"] for one in answer["results"]))

    assert found(where("price", "EQ", "2.50")) == "B"
    assert found(where("price", "NEQ", "1")) == "BC"
    assert found(where("price", "GT", "2")) == "BC"
    assert found(where("price", "GTE", "2.5"), where("price", "LT", "10")) == "B"
    assert found(where("price", "BETWEEN", "1", highValue="3")) == "AB"
    assert found(where("hs_sku", "IN", values=["a", "d"])) == "AD"
    assert found(where("hs_sku", "NOT_IN", values=["a", "d"])) == "BC"
    assert found(where("price", "HAS_PROPERTY")) == "ABC"
    assert found(where("price", "NOT_HAS_PROPERTY")) == "D"
    assert found(where("name", "EQ", "RED")) == "D"
    assert found(where("name", "CONTAINS_TOKEN", "pen")) == "AB"
    assert found(where("name", "CONTAINS_TOKEN", "gre*")) == "C"
    for wrong in (where("nosuch", "EQ", "1"), where("price", "LIKE", "1"), where("price", "EQ"), where("price", "IN")):
        body = {"filterGroups": [{"filters": [wrong]}]}
        assert hubspot.refused("POST", "/crm/v3/objects/products/search", body)[:2] == (400, "VALIDATION_ERROR")


def test_groups_are_or_and_their_filters_are_and(hubspot: HubSpot) -> None:
    for number in range(6):
        hubspot.make("deals", dealname=f"D{number}", amount=str(number))
    groups = [
        {"filters": [where("amount", "GTE", "4"), where("dealname", "EQ", "D5")]},
        {"filters": [where("amount", "LT", "1")]},
    ]
    body = {"filterGroups": groups, "sorts": [{"propertyName": "amount", "direction": "DESCENDING"}]}
    answer = hubspot.ok("POST", "/crm/v3/objects/deals/search", body)
    assert [one["properties"]["dealname"] for one in answer["results"]] == ["D5", "D0"]
    too_many = {"filterGroups": [{"filters": [where("amount", "EQ", "1")]}] * 6}
    assert hubspot.refused("POST", "/crm/v3/objects/deals/search", too_many)[0] == 400
    two_sorts = {"sorts": ["amount", "dealname"]}
    assert hubspot.refused("POST", "/crm/v3/objects/deals/search", two_sorts)[0] == 400


def test_a_new_record_shows_up_late_and_a_change_shows_the_old_values(hubspot: HubSpot) -> None:
    hubspot.settings(search_lag_seconds=30)
    deal = hubspot.make("deals", dealname="Old")
    assert hubspot.search("deals")["total"] == 0
    assert hubspot.get(f"/crm/v3/objects/deals/{deal}")["id"] == deal
    hubspot.settings(clock_offset_seconds=60)
    assert hubspot.search("deals", where("dealname", "EQ", "Old"))["total"] == 1
    hubspot.ok("PATCH", f"/crm/v3/objects/deals/{deal}", {"properties": {"dealname": "New"}})
    assert hubspot.search("deals")["results"][0]["properties"]["dealname"] == "Old"
    assert hubspot.search("deals", where("dealname", "EQ", "New"))["total"] == 0
    hubspot.settings(clock_offset_seconds=120)
    assert hubspot.search("deals")["results"][0]["properties"]["dealname"] == "New"


def test_what_is_gone_stays_in_a_lagging_index_for_a_while(hubspot: HubSpot) -> None:
    ids = [hubspot.make("companies", name=name) for name in ("Archived", "Merged", "Winner", "Restored")]
    hubspot.settings(search_lag_seconds=30, clock_offset_seconds=60)
    hubspot.ok("DELETE", f"/crm/v3/objects/companies/{ids[0]}")
    hubspot.ok("DELETE", f"/crm/v3/objects/companies/{ids[3]}")
    hubspot.ok("POST", f"/_sandbox/restore/companies/{ids[3]}")
    merged = {"primaryObjectId": ids[2], "objectIdToMerge": ids[1]}
    winner = hubspot.ok("POST", "/crm/v3/objects/companies/merge", merged)["id"]

    def found() -> list[str]:
        return sorted(one["id"] for one in hubspot.search("companies", properties=["name"])["results"])

    assert found() == sorted(ids)
    hubspot.settings(clock_offset_seconds=120)
    assert found() == sorted([ids[3], winner])


def test_a_search_may_show_records_as_they_are_and_sort_them_as_they_were(hubspot: HubSpot) -> None:
    first, second = (hubspot.make("deals", dealname=name) for name in ("A", "B"))
    hubspot.settings(search_lag_seconds=30, search_shows="record", clock_offset_seconds=60)
    hubspot.ok("PATCH", f"/crm/v3/objects/deals/{first}", {"properties": {"dealname": "Z"}})
    sorts = [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}]
    shown = hubspot.search("deals", where("dealname", "IN", values=["a", "b"]), sorts=sorts, properties=["dealname"])
    assert [(one["id"], one["properties"]["dealname"]) for one in shown["results"]] == [(first, "Z"), (second, "B")]


@pytest.mark.slow
def test_more_than_ten_thousand_records_of_one_moment(hubspot: HubSpot) -> None:
    moment = "2026-01-02T03:04:05.678Z"
    ids = hubspot.load("deals", [{"properties": {"dealname": str(n)}, "updatedAt": moment} for n in range(10_100)])
    same = where("hs_lastmodifieddate", "EQ", "1767323045678")
    sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    seen: list[str] = []
    while True:
        more = [where("hs_object_id", "GT", seen[-1])] if seen else []
        after: str | None = "0"
        before = len(seen)
        while after is not None and int(after) + 200 <= 10_000:
            page = hubspot.search("deals", same, *more, sorts=sorts, limit=200, after=after)
            seen += [one["id"] for one in page["results"]]
            after = page.get("paging", {}).get("next", {}).get("after")
        if len(seen) == before:
            break
    assert seen == ids
    body = {"filterGroups": [{"filters": [same]}], "limit": 200, "after": "9900"}
    assert hubspot.refused("POST", "/crm/v3/objects/deals/search", body)[:2] == (400, "VALIDATION_ERROR")
    assert hubspot.refused("POST", "/crm/v3/objects/deals/search", {"limit": 201})[0] == 400


def test_associations_are_searched(hubspot: HubSpot) -> None:
    company, deal = hubspot.make("companies", name="C"), hubspot.make("deals", dealname="D")
    hubspot.make("deals", dealname="E")
    hubspot.ok("PUT", f"/crm/v4/objects/deals/{deal}/associations/default/companies/{company}")
    found = hubspot.search("deals", where("associations.company", "EQ", company))["results"]
    assert [one["id"] for one in found] == [deal]
