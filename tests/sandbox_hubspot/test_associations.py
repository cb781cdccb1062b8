"""Associations v4: both sides, the primary company, labels, batches, what is not there."""

from __future__ import annotations

from tests.sandbox_hubspot.conftest import HubSpot, spec


def types(hubspot: HubSpot, kind: str, id_: str, to: str) -> dict[str, set[int]]:
    rows = hubspot.get(f"/crm/v4/objects/{kind}/{id_}/associations/{to}")["results"]
    return {row["toObjectId"]: {one["typeId"] for one in row["associationTypes"]} for row in rows}


def test_only_one_company_is_the_primary_one(hubspot: HubSpot) -> None:
    deal, other = hubspot.make("deals", dealname="D"), hubspot.make("deals", dealname="E")
    one, two = hubspot.make("companies", name="1"), hubspot.make("companies", name="2")
    for company in (one, two):
        hubspot.ok("PUT", f"/crm/v4/objects/deals/{deal}/associations/default/companies/{company}")
    hubspot.ok("PUT", f"/crm/v4/objects/companies/{one}/associations/default/deals/{other}")
    assert types(hubspot, "deals", deal, "companies") == {one: {341, 5}, two: {341}}
    assert types(hubspot, "companies", one, "deals") == {deal: {342, 6}, other: {342, 6}}
    hubspot.ok("PUT", f"/crm/v4/objects/deals/{deal}/associations/companies/{two}", [spec(5)])
    assert types(hubspot, "deals", deal, "companies") == {one: {341}, two: {341, 5}}
    assert types(hubspot, "companies", one, "deals") == {deal: {342}, other: {342, 6}}
    brief = hubspot.get(f"/crm/v3/objects/deals/{deal}", associations="companies")["associations"]["companies"]
    assert {"id": two, "type": "deal_to_company"} in brief["results"]
    assert {"id": one, "type": "deal_to_company"} not in brief["results"]
    assert {"id": one, "type": "deal_to_company_unlabeled"} in brief["results"]


def test_line_items_have_a_blank_in_their_name(hubspot: HubSpot) -> None:
    order = hubspot.make("orders", hs_order_name="O")
    line = hubspot.make("line_items", [{"to": {"id": order}, "types": [spec(514)]}], quantity="1", price="1")
    read = hubspot.get("/crm/v3/objects/orders", associations="line_items,contacts")["results"][0]
    assert read["associations"] == {"line items": {"results": [{"id": line, "type": "order_to_line_item"}]}}


def test_labels(hubspot: HubSpot) -> None:
    path = "/crm/v4/associations/deals/contacts/labels"
    body = {"label": "Payer", "name": "payer", "inverseLabel": "Pays"}
    made = hubspot.ok("POST", path, body)["results"]
    assert [one["label"] for one in made] == ["Payer", "Pays"]
    assert {one["label"] for one in hubspot.get(path)["results"]} == {None, "Payer"}
    deal, contact = hubspot.make("deals", dealname="D"), hubspot.make("contacts", email="a@example.com")
    pair = {"from": {"id": deal}, "to": {"id": contact}, "types": [spec(made[0]["typeId"], "USER_DEFINED")]}
    answer = hubspot.ok("POST", "/crm/v4/associations/deals/contacts/batch/create", {"inputs": [pair]})
    assert answer["results"][0]["labels"] == ["Payer"]
    assert types(hubspot, "contacts", contact, "deals") == {deal: {4, made[1]["typeId"]}}
    hubspot.ok("POST", "/crm/v4/associations/deals/contacts/batch/labels/archive", {"inputs": [pair]})
    assert types(hubspot, "contacts", contact, "deals") == {deal: {4}}
    assert hubspot.refused("POST", path, body)[0] == 400


def test_batches_say_what_they_could_not_do(hubspot: HubSpot) -> None:
    deal, company = hubspot.make("deals", dealname="D"), hubspot.make("companies", name="C")
    pairs = [
        {"from": {"id": deal}, "to": {"id": company}, "types": [spec(341)]},
        {"from": {"id": deal}, "to": {"id": "77"}, "types": [spec(341)]},
        {"from": {"id": deal}, "to": {"id": company}, "types": [spec(3)]},
    ]
    status, answer = hubspot.call("POST", "/crm/v4/associations/deals/companies/batch/create", {"inputs": pairs})
    assert status == 207 and len(answer["results"]) == 1 and answer["numErrors"] == 2
    body = {"inputs": [{"id": deal}, {"id": "77"}]}
    status, answer = hubspot.call("POST", "/crm/v4/associations/deals/companies/batch/read", body)
    assert status == 207 and answer["results"][0]["to"][0]["toObjectId"] == company
    assert answer["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    too_many = {"inputs": [{"id": deal}] * 1001}
    assert hubspot.refused("POST", "/crm/v4/associations/deals/companies/batch/read", too_many)[0] == 400


def test_pages_of_associations(hubspot: HubSpot) -> None:
    company = hubspot.make("companies", name="C")
    link = [{"to": {"id": company}, "types": [spec(341)]}]
    inputs = [{"properties": {"dealname": str(n)}, "associations": link} for n in range(7)]
    hubspot.ok("POST", "/crm/v3/objects/deals/batch/create", {"inputs": inputs})
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = hubspot.get(f"/crm/v4/objects/companies/{company}/associations/deals", limit=3, **after)
        seen += [row["toObjectId"] for row in page["results"]]
        if "paging" not in page:
            break
        after = {"after": page["paging"]["next"]["after"]}
    assert len(seen) == len(set(seen)) == 7
