"""HubSpot's connector over real HTTP: its limits of calls by policy, and tokens that end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.connectors.hubspot_portal import ENTITIES, FAR, Portal
from tests.connectors.wires import item
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import Request
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.oauth import TokenShelf
from tieout.model.errors import AuthenticationFailed, RateLimited

pytestmark = pytest.mark.slow
COMPANIES = ENTITIES["account"]
OAUTH: dict[str, Any] = {"auth": "oauth", "refresh_token": "sandbox-refresh", "password": "sandbox-secret"}


@pytest.fixture
def portal(sandbox: SandboxProcess) -> Iterator[Portal]:
    made = Portal(sandbox)
    yield made
    made.close()


def read(connector: HubSpotConnector, portal: Portal | None = None) -> list[str]:
    """All companies; since the beginning of time by search where a portal is given."""
    since = None if portal is None else FAR.replace(year=2020)
    return [record["id"] for page in connector.changed(COMPANIES, since, FAR) for record in page.records]


def write_back(id_: str, number: int = 0) -> Request:
    body = {"id": id_, "properties": {"tieout_ledger_number": f"N-{number}"}}
    return item(number, "accounts.write_back", body, id_)


def use_up(portal: Portal, calls: int) -> None:
    """Another integration calls, too."""
    for _ in range(calls):
        portal.api("GET", "/crm/v3/owners")


def test_the_ten_seconds_are_kept_by_what_the_headers_say(portal: Portal) -> None:
    ids = portal.load("companies", [portal.now()] * 4000)
    portal.settings(limits={"ten_seconds": 10})
    connector = portal.connector()
    begin = portal.now()
    assert read(connector) == ids
    # 40 pages: four times ten.
    assert (portal.now() - begin).total_seconds() > 29
    assert connector.counters.throttled < 5, "what is left is told by each answer, though less is allowed than we think"


def test_ten_seconds_that_others_used_up_are_waited_for_by_reads_and_told_by_writes(portal: Portal) -> None:
    (company,) = portal.load("companies", [portal.now()])
    reader, writer = portal.connector(), portal.connector()
    portal.settings(limits={"ten_seconds": 5})
    use_up(portal, 5)
    (answer,) = writer.send(writer.operation("accounts.write_back"), [write_back(company)])
    assert (answer.outcome, answer.reason, answer.retry_after) == ("throttled", "rate_limited", 10.0)
    assert read(reader) == [company]
    assert reader.counters.throttled == 1 and 10.0 in portal.waited
    portal.later(10.1)
    (answer,) = writer.send(writer.operation("accounts.write_back"), [write_back(company)])
    assert answer.outcome == "applied"


def test_searches_of_others_in_the_same_second_lose_nothing(portal: Portal) -> None:
    stamp = FAR.replace(year=2024)
    ids = portal.load("companies", [stamp] * 1000)
    portal.settings(limits={"search_per_second": 2})
    connector = portal.connector()
    assert sorted(read(connector, portal)) == sorted(ids)
    assert connector.counters.throttled > 0 and 1.0 in portal.waited


def test_the_days_limit_stops_reads_at_once_and_hands_writes_back(portal: Portal) -> None:
    (company,) = portal.load("companies", [portal.now()])
    portal.settings(limits={"daily": 6})
    use_up(portal, 6)
    connector = portal.connector()
    begin = portal.now()
    with pytest.raises(RateLimited, match="policy DAILY") as told:
        read(connector)
    assert told.value.retry_after == 900.0
    assert (portal.now() - begin).total_seconds() < 60, "nobody sleeps for a day"
    other = portal.connector()
    (answer,) = other.send(other.operation("accounts.write_back"), [write_back(company)])
    assert (answer.outcome, answer.reason, answer.retry_after) == ("throttled", "rate_limited", 900.0)
    # A search is counted in the day as well.
    with pytest.raises(RateLimited, match="policy DAILY"):
        read(portal.connector(), portal)
    portal.later(86_401)
    assert read(portal.connector()) == [company]


def test_a_part_of_the_day_is_kept_for_what_is_urgent(portal: Portal) -> None:
    ids = portal.load("companies", [portal.now()] * 3)
    portal.settings(limits={"daily": 100})
    use_up(portal, 94)
    connector = portal.connector()
    operation = connector.operation("accounts.write_back")
    assert [one.outcome for one in connector.send(operation, [write_back(ids[0])])] == ["applied"]
    (kept,) = connector.send(operation, [write_back(ids[1])])
    assert (kept.outcome, "kept for urgent work" in kept.message) == ("throttled", True)
    urgent = Request("doc-9", operation.name, ids[1], "key-9", write_back(ids[1]).body, priority=1)
    assert [one.outcome for one in connector.send(operation, [urgent])] == ["applied"]


def test_a_token_is_renewed_before_its_end_and_shared(portal: Portal) -> None:
    ids = portal.load("companies", [portal.now()] * 2)
    shelf = TokenShelf()
    connectors = [portal.connector(shelf=shelf, **OAUTH) for _ in range(2)]
    assert [read(one) for one in connectors] == [ids, ids]
    first = shelf.token
    portal.later(1800 - 61)
    assert read(connectors[0]) == ids and shelf.token is first
    portal.later(2)
    assert [read(one) for one in connectors] == [ids, ids]
    assert shelf.token is not first
    assert sum(one.counters.calls for one in connectors) == 5 + 2, "five reads, two tokens"


def test_a_token_that_ends_in_the_middle_of_a_read_or_a_write_is_replaced(portal: Portal) -> None:
    ids = portal.load("companies", [portal.now()] * 2500)
    shelf = TokenShelf()
    connector = portal.connector(shelf=shelf, **OAUTH)
    got: list[str] = []
    for page in connector.changed(COMPANIES, None, FAR):
        got += [record["id"] for record in page.records]
        # HubSpot's clock runs ahead of ours: the token's end comes earlier than we think.
        portal.settings(clock_offset_seconds=round(portal.ahead + 1801 * (1 + len(got) // 1000), 3))
    assert got == ids
    before = shelf.token
    portal.settings(clock_offset_seconds=round(portal.ahead + 20_000, 3))
    (answer,) = connector.send(connector.operation("accounts.write_back"), [write_back(ids[0])])
    assert answer.outcome == "applied" and shelf.token is not before


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"password": "wrong"}, "access token"),
        ({**OAUTH, "refresh_token": "wrong"}, "invalid_grant"),
        ({**OAUTH, "password": "wrong"}, "invalid_client"),
    ],
)
def test_credentials_that_are_refused_say_what_to_mend(portal: Portal, extra: dict[str, Any], says: str) -> None:
    connector = portal.connector(**extra)
    with pytest.raises(AuthenticationFailed, match=says):
        read(connector)
    with pytest.raises(AuthenticationFailed, match=says):
        connector.send(connector.operation("accounts.write_back"), [write_back("1")])
    (finding,) = connector.findings()
    assert not finding.ok and "sign-in" in finding.what
