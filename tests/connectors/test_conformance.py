"""The standard suite: what every connector has to do, run for both against the sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.connectors.vendors import LONG_AGO, Salesforce, Vendor, Xero, spread
from tests.connectors.wires import Time
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import Answer, Connector, Request
from tieout.connectors.registry import capabilities, connect
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, RateLimited, Retriable

pytestmark = pytest.mark.slow
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(params=[Salesforce, Xero], ids=["salesforce", "xero"])
def vendor(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> Vendor:
    made: Vendor = request.param(sandbox, Time())
    return made


@pytest.fixture
def connector(vendor: Vendor) -> Iterator[Connector]:
    made = vendor.connector()
    yield made
    made.close()


def ids_of(vendor: Vendor, connector: Connector, since: datetime | None = None, upto: datetime = FAR) -> list[str]:
    key = vendor.entity.key
    return [str(record[key]) for page in connector.changed(vendor.entity, since, upto) for record in page.records]


def fault(vendor: Vendor, name: str, *, write: bool = False, times: int = 1, **params: Any) -> None:
    path = vendor.write_path if write else vendor.read_path
    method = "P*" if write else "GET"
    rule = {"system": vendor.name, "method": method, "path": path, "fault": name, "times": times, "params": params}
    vendor.sandbox.faults(rule)  # type: ignore[attr-defined]  # both vendors have it


def send(vendor: Vendor, connector: Connector, requests: list[Request]) -> list[Answer]:
    return list(connector.send(connector.operation(vendor.operation), requests))


# ---- reading


def test_every_record_once_over_several_pages(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(spread(vendor.page + 50), vendor.exact, "a")
    assert ids_of(vendor, connector) == made


def test_equal_timestamps_over_a_page_border(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put([LONG_AGO] * (vendor.page + 50), vendor.exact, "a")
    got = ids_of(vendor, connector)
    assert sorted(got) == sorted(made)


def test_records_that_change_while_pages_are_read_are_not_lost(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(spread(vendor.page + 50), vendor.exact, "a")
    got: list[str] = []
    for number, page in enumerate(connector.changed(vendor.entity, None, FAR)):
        got += [str(record[vendor.entity.key]) for record in page.records]
        if number == 0:
            for id_ in made[:5]:
                vendor.touch(id_, LONG_AGO + timedelta(days=1))
    assert set(got) == set(made)


def test_a_window_is_half_open(vendor: Vendor, connector: Connector) -> None:
    stamps = spread(12)
    made = vendor.put(stamps, vendor.exact, "a")
    assert ids_of(vendor, connector, stamps[3], stamps[9]) == made[3:9]
    assert ids_of(vendor, connector, stamps[9], FAR) == made[9:]
    assert ids_of(vendor, connector, FAR - timedelta(days=1), FAR) == []


def test_amounts_and_texts_come_back_exactly(vendor: Vendor, connector: Connector) -> None:
    text = "Ünïcödé 日本 \u202eright-to-left 🍵 'quoted' \"twice\" =1+1"
    vendor.put([LONG_AGO], vendor.exact, text)
    (page,) = connector.changed(vendor.entity, None, FAR)
    assert vendor.read_back(page.records[0]) == (vendor.exact, text)


def test_fetching_by_id_leaves_out_what_is_gone(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(spread(5), vendor.exact, "a")
    gone = made[0][:-4] + ("0000" if vendor.name == "xero" else "9AAA")
    pages = connector.fetch(vendor.entity, [made[1], gone, made[4]])
    assert sorted(str(r[vendor.entity.key]) for page in pages for r in page.records) == sorted([made[1], made[4]])


@pytest.mark.parametrize("name", ["error_500", "cut_body", "lost_request", "lost_answer"])
def test_reads_survive_passing_faults(vendor: Vendor, connector: Connector, name: str) -> None:
    made = vendor.put(spread(3), vendor.exact, "a")
    fault(vendor, name, times=2)
    assert ids_of(vendor, connector) == made
    assert vendor.sandbox.hits()  # type: ignore[attr-defined]


def test_a_token_that_ends_in_mid_run_is_replaced(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(spread(3), vendor.exact, "a")
    fault(vendor, "expired_token")
    assert ids_of(vendor, connector) == made


def test_a_limit_is_waited_for_or_handed_up(vendor: Vendor, connector: Connector) -> None:
    made = vendor.put(spread(3), vendor.exact, "a")
    fault(vendor, "status_429", retry_after=3)
    if vendor.name == "xero":
        assert ids_of(vendor, connector) == made
        assert 3.0 in vendor.time.naps  # type: ignore[attr-defined]
    else:  # Salesforce does not say when; the allowance is that of a day
        with pytest.raises(RateLimited):
            ids_of(vendor, connector)


def test_faults_that_last_are_retriable(vendor: Vendor, connector: Connector) -> None:
    fault(vendor, "error_500", times=100)
    with pytest.raises(Retriable):
        ids_of(vendor, connector)


# ---- signing in and rights


def test_wrong_credentials_say_which_connection(vendor: Vendor) -> None:
    connector = vendor.connector(password="wrong")
    with pytest.raises(AuthenticationFailed, match="refuses the credentials"):
        ids_of(vendor, connector)
    (finding,) = connector.findings()
    assert not finding.ok and finding.remedy
    connector.close()


def test_no_network_is_retriable_and_a_finding(vendor: Vendor) -> None:
    host = "http://127.0.0.1:9"  # discard: nobody listens
    conn = Connection("gone", vendor.name, host, "a", "b", {"allowed_hosts": "127.0.0.1"})
    connector = connect(conn, clock=Time().clock)
    with pytest.raises(Retriable):
        ids_of(vendor, connector)
    assert [finding.ok for finding in connector.findings()] == [False]
    connector.close()


def test_findings_of_a_good_connection_are_good(vendor: Vendor, connector: Connector) -> None:
    wrong = [finding for finding in connector.findings() if not finding.ok]
    assert wrong == []


# ---- writing


def test_a_batch_is_applied_and_found_equal(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(3)
    answers = send(vendor, connector, requests)
    assert [a.outcome for a in answers] == ["applied"] * 3, answers
    assert vendor.applied() == 3
    found = connector.look_up(connector.operation(vendor.operation), requests)
    assert [[f.vendor_id for f in found[r.doc_uid]] for r in requests] == [[a.vendor_id] for a in answers]
    assert [found[r.doc_uid][0].differences for r in requests] == [()] * 3


def test_sending_twice_leaves_what_sending_once_leaves(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(3)
    first, second = send(vendor, connector, requests), send(vendor, connector, requests)
    assert [a.vendor_id for a in first] == [a.vendor_id for a in second]
    assert vendor.applied() == 3


def test_each_item_ends_on_its_own(vendor: Vendor, connector: Connector) -> None:
    answers = send(vendor, connector, vendor.requests(4, bad=[1]))
    assert [a.outcome for a in answers] == ["applied", "refused", "applied", "applied"], answers
    assert answers[1].reason in ("text_too_long", "invalid_account") and answers[1].message
    assert vendor.applied() == 3


@pytest.mark.parametrize(
    ("name", "params", "applied"),
    [
        ("lost_answer", {}, 3),
        ("lost_request", {}, 0),
        ("error_500", {"applied": True}, 3),
        ("error_500", {"applied": False}, 0),
        ("cut_body", {}, 3),
    ],
)
def test_what_is_not_known_is_uncertain_and_a_look_up_tells(
    vendor: Vendor, connector: Connector, name: str, params: dict[str, Any], applied: int
) -> None:
    requests = vendor.requests(3)
    fault(vendor, name, write=True, **params)
    answers = send(vendor, connector, requests)
    assert [a.outcome for a in answers] == ["uncertain"] * 3
    assert vendor.applied() == applied
    found = connector.look_up(connector.operation(vendor.operation), requests)
    good = [uid for uid, there in found.items() if there and not there[0].differences]
    assert len(good) == applied


def test_an_item_that_is_missing_from_the_answer_is_uncertain(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(3)
    fault(vendor, "item_missing", write=True, index=1)
    answers = send(vendor, connector, requests)
    assert [a.outcome for a in answers] == ["applied", "uncertain", "applied"]
    assert vendor.applied() == 3


def test_throttled_and_expired_writes_were_not_applied(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(6)
    fault(vendor, "expired_token", write=True)
    assert [a.outcome for a in send(vendor, connector, requests[:3])] == ["applied"] * 3
    assert vendor.applied() == 3
    fault(vendor, "status_429", write=True, retry_after=7)
    answers = send(vendor, connector, requests[3:])
    assert [a.outcome for a in answers] == ["throttled"] * 3 and all(a.retry_after for a in answers)
    calls = connector.counters.calls  # type: ignore[attr-defined]  # both have it, beside the protocol
    assert {a.outcome for a in send(vendor, connector, requests[3:])} == {"throttled"}, "the seven seconds are not over"
    assert connector.counters.calls == calls  # type: ignore[attr-defined]
    assert vendor.applied() == 3


def test_counters_tell_what_was_done(vendor: Vendor, connector: Connector) -> None:
    vendor.put(spread(3), vendor.exact, "a")
    fault(vendor, "error_500")
    ids_of(vendor, connector)
    counters = connector.counters  # type: ignore[attr-defined]  # both have it, beside the protocol
    assert counters.calls >= 3 and counters.retries == 1 and counters.bytes_received > 100


def test_capabilities_name_what_there_is(vendor: Vendor, connector: Connector) -> None:
    can = capabilities(vendor.name)
    assert vendor.operation in can.operations
    for name in can.operations:
        operation = connector.operation(name)
        assert not (operation.creates and operation.repeatable)
        assert operation.batch >= 1 and operation.quiet_period > timedelta(0)
