"""HubSpot's connector over real HTTP: windows through a search that lags, shows other values and stops at 10,000."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.connectors.hubspot_portal import ENTITIES, FAR, Portal, Reading
from tests.support.sandbox import SandboxProcess
from tieout.connectors.hubspot.connector import HubSpotConnector

pytestmark = pytest.mark.slow
COMPANIES = ENTITIES["account"]
LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


@pytest.fixture
def portal(sandbox: SandboxProcess) -> Iterator[Portal]:
    made = Portal(sandbox)
    yield made
    made.close()


def read(connector: HubSpotConnector, since: datetime | None, upto: datetime) -> list[str]:
    return [record["id"] for page in connector.changed(COMPANIES, since, upto) for record in page.records]


def test_what_changed_just_before_a_read_comes_with_the_next_one(portal: Portal) -> None:
    reading = Reading(portal, portal.connector(), COMPANIES)
    old = portal.make("companies", name="Old")
    assert reading.run() == [old]
    portal.settings(search_lag_seconds=30)
    portal.later(600)
    new = portal.make("companies", name="New")
    portal.change("companies", old, name="Changed")
    portal.later(1)
    # The old one is in the overlap, and records are read as they are, not as the index has them.
    assert reading.run() == [old]
    portal.later(60)
    assert sorted(reading.run()) == sorted([old, new])
    assert reading.known[old]["properties"]["name"] == "Changed"


@pytest.mark.parametrize("seed", range(4))
def test_no_change_is_lost_whatever_the_index_is_behind_by(portal: Portal, seed: int) -> None:
    draw = random.Random(seed)
    reading = Reading(portal, portal.connector(index_lag=240), COMPANIES)
    ids = [portal.make("companies", name=f"C{n}") for n in range(8)]
    reading.run()
    portal.settings(search_lag_seconds=draw.choice([30, 120, 235]))
    wanted = dict.fromkeys(ids, "")
    for turn in range(40):
        portal.later(draw.choice([1, 20, 61, 150]))
        what = draw.randrange(6)
        if what == 0:
            reading.run()
        elif what == 1:
            made = portal.make("companies", name="new", phone=str(turn))
            wanted[made] = str(turn)
        else:
            id_ = draw.choice(ids)
            portal.change("companies", id_, phone=str(turn))
            wanted[id_] = str(turn)
    portal.later(241)
    reading.run()
    assert {id_: record["properties"]["phone"] or "" for id_, record in reading.known.items()} == wanted


def test_an_index_that_is_further_behind_needs_the_setting(portal: Portal) -> None:
    plain = Reading(portal, portal.connector(), COMPANIES)
    patient = Reading(portal, portal.connector(look_back=3600), COMPANIES)
    old = portal.make("companies", name="Old")
    for reading in (plain, patient):
        reading.run()
    portal.settings(search_lag_seconds=1800)
    portal.later(3600)
    for reading in (plain, patient):
        reading.run()
    portal.change("companies", old, name="Changed")
    found = []
    for _ in range(6):
        portal.later(600)
        plain.run()
        found += patient.run()
    assert old in found and patient.known[old]["properties"]["name"] == "Changed"
    assert plain.known[old]["properties"]["name"] == "Old", "what the README says of such an index"


@pytest.mark.parametrize("shows", ["index", "record"])
def test_values_that_a_search_did_not_sort_by_lead_nowhere(portal: Portal, shows: str) -> None:
    ids = portal.load("companies", [LONG_AGO + timedelta(seconds=n) for n in range(700)])
    portal.settings(search_lag_seconds=30, search_shows=shows)
    for at in (199, 398, 450):
        portal.change("companies", ids[at], name="changed a moment ago")
    connector = portal.connector()
    got = read(connector, LONG_AGO, FAR)
    assert sorted(got) == sorted(ids)
    assert connector.counters.throttled == 0


def test_more_than_ten_thousand_of_one_moment_come_once_each(portal: Portal) -> None:
    ids = portal.load("companies", [LONG_AGO] * 10_250)
    connector = portal.connector()
    got = read(connector, LONG_AGO - timedelta(seconds=1), FAR)
    assert len(got) == len(ids) and set(got) == set(ids)
    assert read(connector, LONG_AGO, LONG_AGO) == []
    assert read(connector, LONG_AGO + timedelta(milliseconds=1), FAR) == []


def test_more_than_ten_thousand_of_few_moments_come_once_each(portal: Portal) -> None:
    draw = random.Random(7)
    sizes = [1, 199, 200, 201, 399, 400, 401, 2500, 1, 1, 6200, 3]
    stamps = [LONG_AGO + timedelta(milliseconds=at) for at, size in enumerate(sizes) for _ in range(size)]
    draw.shuffle(stamps)
    ids = portal.load("companies", stamps)
    connector = portal.connector()
    assert len(ids) > 10_000
    got = read(connector, LONG_AGO, FAR)
    assert len(got) == len(ids) and set(got) == set(ids)
    inside = [id_ for id_, at in zip(ids, stamps, strict=True) if at < LONG_AGO + timedelta(milliseconds=7)]
    assert sorted(read(connector, LONG_AGO, LONG_AGO + timedelta(milliseconds=7))) == sorted(inside)


def test_records_that_change_while_a_window_is_read_are_in_the_next_one(portal: Portal) -> None:
    ids = portal.load("companies", [portal.now() - timedelta(seconds=600 - n / 10) for n in range(2500)])
    connector = portal.connector()
    upto, got = portal.now(), list[str]()
    for page in connector.changed(COMPANIES, portal.now() - timedelta(hours=1), upto):
        got += [record["id"] for record in page.records]
        for id_ in random.Random(len(got)).sample(ids, 20):
            portal.change("companies", id_, phone=str(len(got)))
    portal.later(61)
    late = read(connector, upto - timedelta(minutes=5), portal.now())
    assert set(got) | set(late) == set(ids)
    assert len(got) == len(set(got))


def test_a_ticket_that_leaves_the_pipeline_is_gone_and_no_other_ticket_is_a_return(portal: Portal) -> None:
    portal.settings(search_lag_seconds=30)
    connector = portal.connector()
    reading = Reading(portal, connector, ENTITIES["return_order"])
    back, support = (
        portal.make("tickets", subject=pipeline, hs_pipeline=pipeline, hs_pipeline_stage=stage)
        for pipeline, stage in (("returns", "approved"), ("0", "1"))
    )
    assert reading.run() == [back]
    assert [r["id"] for page in connector.fetch(reading.entity, [back, support]) for r in page.records] == [back]
    portal.later(600)
    portal.change("tickets", back, hs_pipeline="0", hs_pipeline_stage="1")
    assert [r["id"] for page in connector.fetch(reading.entity, [back]) for r in page.records] == []
    portal.later(5)
    assert (reading.run(), reading.gone & {back}) == ([], set())
    portal.later(61)
    assert (reading.run(), reading.gone & {back}) == ([], {back})
    portal.change("tickets", back, hs_pipeline="returns", hs_pipeline_stage="approved")
    portal.later(61)
    assert (reading.run(), reading.gone & {back}) == ([back], set())
