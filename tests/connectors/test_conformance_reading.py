"""The standard suite, reading: every connector runs it against its sandbox over real HTTP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tests.connectors.standard import FAR, counters, fault, ids_of
from tests.connectors.vendors import LONG_AGO, Vendor
from tests.connectors.wires import Time
from tieout.connectors.base import Connector
from tieout.connectors.outside import Outside
from tieout.connectors.registry import capabilities, connect
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, Fatal, RateLimited, Retriable
from tieout.model.raw_records import values_at

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "reads every record once and exactly: pages, equal times, deletions, time zones, faults, limits",
        scenario="connector",
    ),
]


# ---- paging


def test_every_record_once_over_several_pages(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(vendor.page + 50), vendor.exact, "a")
    assert ids_of(vendor, connector) == made


def test_equal_timestamps_over_a_page_border(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put([LONG_AGO] * (vendor.page + 50), vendor.exact, "a")
    got = ids_of(vendor, connector)
    assert sorted(got) == sorted(made)


def test_records_that_change_while_pages_are_read_are_neither_lost_nor_repeated(
    vendor: Vendor, connector: Connector
) -> None:
    made = vendor.put(vendor.spread(vendor.page + 50), vendor.exact, "a")
    moved, later = made[:5], LONG_AGO + timedelta(days=1)
    got: list[tuple[str, str]] = []
    for number, page in enumerate(connector.changed(vendor.entity, None, FAR)):
        paths = [vendor.entity.key, str(vendor.entity.modified)]
        got += [(str(key), str(stamp)) for key, stamp in values_at(page.records, paths)]
        if number == 0:
            for id_ in moved:
                vendor.touch(id_, later)
    times = Counter(id_ for id_, _ in got)
    assert set(times) == set(made), "lost"
    assert max(Counter(got).values()) == 1, "the same version came twice"
    assert {id_ for id_, count in times.items() if count > 1} <= set(moved), "one that nobody changed came twice"
    assert sorted(ids_of(vendor, connector, later)) == sorted(moved), "the next window has what was changed, no more"


# ---- what changed


def test_a_window_is_half_open(vendor: Vendor, connector: Connector) -> None:
    stamps = vendor.spread(12)
    made = vendor.put(stamps, vendor.exact, "a")
    assert ids_of(vendor, connector, stamps[3], stamps[9]) == made[3:9]
    assert ids_of(vendor, connector, stamps[9], FAR) == made[9:]
    assert ids_of(vendor, connector, FAR - timedelta(days=1), FAR) == []


def test_only_what_changed_since_comes_again(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(6), vendor.exact, "a")
    assert ids_of(vendor, connector) == made
    since = LONG_AGO + timedelta(hours=1)
    vendor.touch(made[2], since + timedelta(seconds=1))
    assert ids_of(vendor, connector, since) == [made[2]]


def test_a_deleted_record_is_told(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(3), vendor.exact, "a")
    vendor.delete(made[1])
    now = datetime.now(UTC)
    told = [id_ for some in connector.deleted(vendor.entity, now - timedelta(hours=1), now) for id_ in some]
    can = capabilities(vendor.name)
    assert can.tells_deletions is ("deletions" not in vendor.lacks)
    if can.tells_deletions:
        assert told == [made[1]]
        assert made[1] not in ids_of(vendor, connector)
    else:
        assert told == [], vendor.lacks["deletions"]
        records = {str(r[vendor.entity.key]): r for p in connector.changed(vendor.entity, None, FAR) for r in p.records}
        assert [id_ for id_ in made if vendor.is_gone(records[id_])] == [made[1]]


def test_deletions_that_are_not_kept_any_more_are_no_empty_list(vendor: Vendor, connector: Connector) -> None:
    days = capabilities(vendor.name).deletions_days
    now = vendor.time.now()
    if days is None:
        assert list(connector.deleted(vendor.entity, now - timedelta(days=1000), now)) == []
    else:
        with pytest.raises(Fatal, match="whole"):
            list(connector.deleted(vendor.entity, now - timedelta(days=days + 1), now))


def test_fetching_by_id_leaves_out_what_is_gone(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(5), vendor.exact, "a")
    pages = connector.fetch(vendor.entity, [made[1], vendor.missing(made[0]), made[4]])
    assert sorted(str(r[vendor.entity.key]) for page in pages for r in page.records) == sorted([made[1], made[4]])


# ---- exactness


def test_amounts_and_texts_come_back_exactly(vendor: Vendor, connector: Connector) -> None:
    digits = len(vendor.exact.as_tuple().digits)
    assert digits == 18 or vendor.lacks["decimals_18"], f"{digits} digits"
    text = "Ünïcödé 日本 \u202eright-to-left 🍵 'quoted' \"twice\" =1+1"
    vendor.put([LONG_AGO], vendor.exact, text)
    (page,) = connector.changed(vendor.entity, None, FAR)
    assert vendor.read_back(page.records[0]) == (vendor.exact, text)


@pytest.fixture(params=["Pacific/Kiritimati", "America/Los_Angeles"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """This machine stands fourteen hours before London, or eight behind it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_an_instant_is_the_same_in_another_time_zone(vendor: Vendor, connector: Connector, elsewhere: str) -> None:
    stamps = vendor.spread(12)
    made = vendor.put(stamps, vendor.exact, "a")
    east, west = timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-8))
    assert ids_of(vendor, connector, stamps[3].astimezone(east), stamps[9].astimezone(west)) == made[3:9]


def test_a_date_at_a_days_border_stays_that_day(vendor: Vendor, connector: Connector, elsewhere: str) -> None:
    first, last = date(2026, 2, 28), date(2026, 3, 1)
    if vendor.dated_entity is None:
        assert vendor.lacks["dated"]
        with pytest.raises(ConfigurationFault):
            list(connector.dated(vendor.entity, "anything", first, last))
        return
    made = vendor.put_dated([first - timedelta(days=1), first, last, last + timedelta(days=1)])
    pages = connector.dated(vendor.dated_entity, vendor.dated_field, first, last)
    assert sorted({str(r[vendor.dated_entity.key]) for page in pages for r in page.records}) == sorted(made[1:3])


# ---- what goes wrong


@pytest.mark.parametrize("name", ["error_500", "cut_body", "lost_request", "lost_answer"])
def test_reads_survive_passing_faults(vendor: Vendor, connector: Connector, name: str) -> None:
    made = vendor.put(vendor.spread(3), vendor.exact, "a")
    fault(vendor, name, times=2)
    assert ids_of(vendor, connector) == made
    assert vendor.sandbox.hits()


def test_a_token_that_ends_in_mid_run_is_replaced(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(3), vendor.exact, "a")
    fault(vendor, "expired_token")
    assert ids_of(vendor, connector) == made


def test_a_fresh_token_that_is_refused_is_for_a_person(vendor: Vendor, connector: Connector) -> None:
    fault(vendor, "expired_token", times=100)
    with pytest.raises(AuthenticationFailed):
        ids_of(vendor, connector)
    assert len(vendor.sandbox.hits()) == 2, "once, and once more with another token"


def test_a_limit_is_waited_for_or_handed_up(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(vendor.spread(3), vendor.exact, "a")
    fault(vendor, "status_429", retry_after=3)
    if "retry_after" in vendor.lacks:
        with pytest.raises(RateLimited):
            ids_of(vendor, connector)
    else:
        assert ids_of(vendor, connector) == made
        assert 3.0 in vendor.time.naps


def test_faults_that_last_are_retriable(vendor: Vendor, connector: Connector) -> None:
    fault(vendor, "error_500", times=100)
    with pytest.raises(Retriable):
        ids_of(vendor, connector)


def test_an_answer_that_is_no_json_is_retriable(vendor: Vendor, connector: Connector) -> None:
    vendor.put(vendor.spread(3), vendor.exact, "a")
    fault(vendor, "cut_body", times=100)
    with pytest.raises(Retriable):
        ids_of(vendor, connector)


def test_wrong_credentials_say_which_connection(vendor: Vendor) -> None:
    connector = vendor.connector(password="wrong")
    with pytest.raises(AuthenticationFailed, match=f"{vendor.name}_test"):
        ids_of(vendor, connector)
    assert [finding for finding in connector.findings() if not finding.ok and finding.remedy]
    connector.close()


def test_no_network_is_retriable_and_a_finding(vendor: Vendor) -> None:
    host = "http://127.0.0.1:9"  # discard: nobody listens
    conn = Connection("gone", vendor.name, host, "a", "b", {"allowed_hosts": "127.0.0.1", **vendor.fields})
    connector = connect(conn, Outside(clock=Time().clock))
    with pytest.raises(Retriable):
        ids_of(vendor, connector)
    assert [finding.ok for finding in connector.findings()] == [False]
    connector.close()


def test_findings_of_a_good_connection_are_good(vendor: Vendor, connector: Connector) -> None:
    assert [finding for finding in connector.findings() if not finding.ok] == []


def test_counters_tell_what_was_done(vendor: Vendor, connector: Connector) -> None:
    vendor.put(vendor.spread(3), vendor.exact, "a")
    fault(vendor, "error_500")
    ids_of(vendor, connector)
    counted = counters(connector)
    assert counted.calls >= 2 and counted.retries == 1 and counted.bytes_received > 100
