"""HubSpot's own Python client, unchanged, against the sandbox: only address and token are ours."""

from __future__ import annotations

from typing import Any

import hubspot as vendor
import pytest
from hubspot.crm.associations import v4 as links
from hubspot.crm.objects import (
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    Filter,
    FilterGroup,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.objects.exceptions import ApiException
from hubspot.crm.properties import PropertyCreate

from tests.sandbox_hubspot.conftest import NO_LIMITS, TOKEN
from tests.support.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.proves(
        "HubSpot's own Python client, unchanged, works with the sandbox", scenario="connector", systems=("hubspot",)
    )
]


@pytest.fixture
def crm(sandbox: SandboxProcess) -> Any:
    sandbox.settings("hubspot", limits=NO_LIMITS)
    return vendor.HubSpot(access_token=TOKEN, host=f"{sandbox.url}/hubspot").crm


def test_records_are_made_read_in_pages_changed_and_archived(crm: Any) -> None:
    inputs = [{"properties": {"name": f"Company {n}"}, "objectWriteTraceId": str(n)} for n in range(25)]
    body = BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs)
    made = crm.objects.batch_api.create("companies", batch_input_simple_public_object_batch_input_for_create=body)
    assert {one.object_write_trace_id for one in made.results} == {str(n) for n in range(25)}
    read, after = [], None
    while True:
        page = crm.objects.basic_api.get_page("companies", limit=10, properties=["name"], after=after)
        read += [one.id for one in page.results]
        if page.paging is None:
            break
        after = page.paging.next.after
    assert sorted(read) == sorted(one.id for one in made.results) and len(read) == 25
    assert len(crm.objects.get_all("companies")) == 25
    body = SimplePublicObjectInput(properties={"name": "Ünïcode 株式会社"})
    changed = crm.objects.basic_api.update("companies", read[0], simple_public_object_input=body)
    assert changed.properties["name"] == "Ünïcode 株式会社"
    crm.objects.basic_api.archive("companies", read[0])
    with pytest.raises(ApiException) as gone:
        crm.objects.basic_api.get_by_id("companies", read[0])
    assert gone.value.status == 404 and "OBJECT_NOT_FOUND" in gone.value.body
    assert crm.objects.basic_api.get_by_id("companies", read[0], archived=True).archived is True
    ids = BatchInputSimplePublicObjectId(inputs=[{"id": id_} for id_ in read[1:]])
    crm.objects.batch_api.archive("companies", batch_input_simple_public_object_id=ids)
    assert crm.objects.get_all("companies") == []


def test_upsert_by_a_unique_property_and_batch_read(crm: Any) -> None:
    unique = PropertyCreate(
        name="own_id",
        label="Own id",
        type="string",
        field_type="text",
        group_name="companyinformation",
        has_unique_value=True,
    )
    crm.properties.core_api.create("companies", unique)
    for name, new in (("First", True), ("Second", False)):
        inputs = [{"idProperty": "own_id", "id": "A1", "properties": {"name": name}, "objectWriteTraceId": "1"}]
        body = BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs)
        answer = crm.objects.batch_api.upsert("companies", batch_input_simple_public_object_batch_input_upsert=body)
        assert [(one.new, one.properties["name"]) for one in answer.results] == [(new, name)]
    wanted = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": "A1"}, {"id": "A2"}],
        id_property="own_id",
        properties=["name"],
        properties_with_history=[],
    )
    read = crm.objects.batch_api.read("companies", batch_read_input_simple_public_object_id=wanted)
    assert [one.properties["name"] for one in read.results] == ["Second"]
    assert read.num_errors == 1 and read.errors[0].context == {"ids": ["A2"]}


def test_search(crm: Any) -> None:
    for name in ("Ann", "Bob", "Cid"):
        body = SimplePublicObjectInputForCreate(properties={"dealname": name, "amount": "10.50"})
        crm.objects.basic_api.create("deals", simple_public_object_input_for_create=body)
    groups = [
        FilterGroup(filters=[Filter(property_name="dealname", operator="EQ", value="Ann")]),
        FilterGroup(filters=[Filter(property_name="dealname", operator="IN", values=["cid"])]),
    ]
    request = PublicObjectSearchRequest(
        filter_groups=groups, sorts=["-dealname"], properties=["dealname"], limit=1, after="0"
    )
    first = crm.objects.search_api.do_search("deals", public_object_search_request=request)
    assert (first.total, first.results[0].properties["dealname"]) == (2, "Cid")
    request.after = first.paging.next.after
    second = crm.objects.search_api.do_search("deals", public_object_search_request=request)
    assert second.results[0].properties["dealname"] == "Ann" and second.paging is None


def test_associations_owners_pipelines(crm: Any) -> None:
    def make(kind: str, **properties: str) -> str:
        body = SimplePublicObjectInputForCreate(properties=properties)
        id_: str = crm.objects.basic_api.create(kind, simple_public_object_input_for_create=body).id
        return id_

    deal, company, other = make("deals", dealname="D"), make("companies", name="C"), make("companies", name="O")
    made = crm.associations.v4.basic_api.create_default("deals", deal, "companies", company)
    assert made.results[0].association_spec.association_type_id == 341
    inputs = [{"from": {"id": deal}, "to": {"id": other}, "types": [_spec(5)]}]
    body = links.BatchInputPublicAssociationMultiPost(inputs=inputs)
    crm.associations.v4.batch_api.create("deals", "companies", batch_input_public_association_multi_post=body)
    page = crm.associations.v4.basic_api.get_page("deals", deal, "companies")
    types = {one.to_object_id: {t.type_id for t in one.association_types} for one in page.results}
    assert types == {company: {341}, other: {5, 341}}
    body = links.BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": deal}])
    read = crm.associations.v4.batch_api.get_page(
        "deals", "companies", batch_input_public_fetch_associations_batch_request=body
    )
    assert {one.to_object_id for one in read.results[0].to} == {company, other}
    inputs = [{"from": {"id": deal}, "to": [{"id": company}]}]
    body = links.BatchInputPublicAssociationMultiArchive(inputs=inputs)
    crm.associations.v4.batch_api.archive("deals", "companies", batch_input_public_association_multi_archive=body)
    shown = crm.objects.basic_api.get_by_id("deals", deal, associations=["companies"])
    assert {one.id for one in shown.associations["companies"].results} == {other}
    assert crm.owners.owners_api.get_page().results[0].email == "ann@example.com"
    stages = crm.pipelines.pipelines_api.get_by_id("deals", "default").stages
    assert stages[-2].id == "closedwon" and stages[-2].metadata["isClosed"] == "true"


def _spec(type_id: int) -> dict[str, Any]:
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
