"""HubSpot's connector over real HTTP: what is archived, restored, merged, or deleted for data protection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from tests.connectors.hubspot_portal import ENTITIES, Portal, Reading
from tests.support.sandbox import SandboxProcess
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.model.errors import Fatal

pytestmark = pytest.mark.slow
COMPANIES, CONTACTS, ORDERS = ENTITIES["account"], ENTITIES["contact"], ENTITIES["order"]


@pytest.fixture
def portal(sandbox: SandboxProcess) -> Iterator[Portal]:
    made = Portal(sandbox)
    yield made
    made.close()


def fetched(connector: HubSpotConnector, entity: str, ids: Sequence[str]) -> list[str]:
    return [record["id"] for page in connector.fetch(ENTITIES[entity], ids) for record in page.records]


def test_an_archived_record_is_told_and_a_restored_one_comes_back(portal: Portal) -> None:
    connector = portal.connector()
    reading = Reading(portal, connector, COMPANIES)
    first, second = (portal.make("companies", name=name) for name in "AB")
    assert sorted(reading.run()) == [first, second]
    portal.settings(search_lag_seconds=30)
    portal.later(600)
    portal.archive("companies", first)
    # The list of archived records is never behind; the index still finds what cannot be read any more.
    assert (reading.run(), reading.gone) == ([second], {first})
    assert fetched(connector, "account", [first, second]) == [second]
    portal.later(3600)
    portal.restore("companies", first)
    portal.later(61)
    assert (reading.run(), reading.gone) == ([first], set())
    assert fetched(connector, "account", [first]) == [first]


def test_what_was_archived_long_ago_is_not_told_and_the_question_is_refused(portal: Portal) -> None:
    connector = portal.connector()
    old = portal.make("companies", name="A")
    portal.archive("companies", old)
    portal.later(89 * 86_400)
    now = portal.now()
    told = [id_ for some in connector.deleted(COMPANIES, now - timedelta(days=89, hours=1), now) for id_ in some]
    assert told == [old]
    with pytest.raises(Fatal, match="are not kept"):
        list(connector.deleted(COMPANIES, now - timedelta(days=91), now))


def test_more_archived_records_than_a_page_are_told_once_each(portal: Portal) -> None:
    reading = Reading(portal, portal.connector(), ORDERS)
    reading.run()
    ids = portal.load("orders", [portal.now()] * 250)
    portal.connector().archive("orders", ids)
    portal.later(61)
    assert (reading.run(), reading.gone) == ([], set(ids))


def test_of_two_merged_companies_a_third_is_read_and_both_are_gone(portal: Portal) -> None:
    connector = portal.connector()
    reading, orders = Reading(portal, connector, COMPANIES), Reading(portal, connector, ORDERS)
    first, second, other = (portal.make("companies", name=name, phone=name) for name in "ABC")
    order = portal.make("orders", hs_order_name="O-1")
    portal.join("orders", order, "companies", second)
    assert (sorted(reading.run()), orders.run()) == ([first, second, other], [order])
    assert orders.known[order]["associations"]["companies"] == second
    portal.settings(search_lag_seconds=30)
    portal.later(600)
    winner = portal.merge("companies", first, second)
    # A moment later the index has neither the winner nor what became of the losers.
    assert reading.run() == [other]
    portal.later(61)
    assert (reading.run(), reading.gone) == ([winner], {first, second})
    record = reading.known[winner]["properties"]
    assert (record["name"], set(record["hs_merged_object_ids"].split(";"))) == ("A", {first, second})
    # Who asks for a loser by its id gets no record under another's.
    assert fetched(connector, "account", [first, winner, second]) == [winner]
    portal.change("orders", order, hs_order_name="O-1b")
    portal.later(61)
    assert orders.run() == [order]
    assert orders.known[order]["associations"]["companies"] == winner
    third = portal.merge("companies", other, winner)
    portal.later(61)
    assert (reading.run(), reading.gone) == ([third], {first, second, other, winner})
    assert set(reading.known[third]["properties"]["hs_merged_object_ids"].split(";")) == {first, second, other, winner}


def test_a_contact_deleted_for_data_protection_is_in_no_answer(portal: Portal) -> None:
    connector = portal.connector()
    reading = Reading(portal, connector, CONTACTS)
    contact = portal.make("contacts", email="ann@example.com")
    assert reading.run() == [contact]
    portal.later(600)
    portal.api("POST", "/crm/v3/objects/contacts/gdpr-delete", {"objectId": contact})
    portal.later(61)
    # Neither a change nor an archived record: the README says what to do.
    assert (reading.run(), reading.gone) == ([], set())
    assert fetched(connector, "contact", [contact]) == []
    whole = [r["id"] for page in connector.changed(CONTACTS, None, portal.now()) for r in page.records]
    assert whole == []
