"""The standard suite, writing: every connector runs it against its sandbox over real HTTP."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.connectors.standard import counters, fault, send
from tests.connectors.vendors import EIGHTEEN, POINTS, Vendor
from tieout.connectors.base import Connector, Guard
from tieout.connectors.registry import capabilities
from tieout.model.errors import ConfigurationFault

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "writes each item by itself and nothing twice, finds lost answers; refuses what it does not offer",
        scenario="connector",
    ),
]


def test_a_batch_is_applied_and_found_equal(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(3)
    answers = send(connector, requests)
    assert [a.outcome for a in answers] == ["applied"] * 3, answers
    assert vendor.applied() == 3
    found = connector.look_up(connector.operation(vendor.operation), requests)
    assert [[f.vendor_id for f in found[r.doc_uid]] for r in requests] == [[a.vendor_id] for a in answers]
    assert [found[r.doc_uid][0].differences for r in requests] == [()] * 3


def test_sending_twice_leaves_what_sending_once_leaves(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(3)
    first, second = send(connector, requests), send(connector, requests)
    assert [a.vendor_id for a in first] == [a.vendor_id for a in second]
    assert vendor.applied() == 3


def test_an_upsert_makes_once_and_then_changes(vendor: Vendor, connector: Connector) -> None:
    assert capabilities(vendor.name).upserts is ("upsert" not in vendor.lacks)
    if vendor.upsert_operation is None:
        assert vendor.lacks["upsert"]
        assert not [name for name in capabilities(vendor.name).operations if name.endswith(".upsert")]
        return
    made = send(connector, vendor.upserts(3, "first é"))
    assert [a.outcome for a in made] == ["applied"] * 3, made
    changed = send(connector, vendor.upserts(4, "second"))
    assert [a.vendor_id for a in changed[:3]] == [a.vendor_id for a in made]
    assert sorted(vendor.upserted()) == ["second"] * 4


@pytest.mark.parametrize("name", ["lost_answer", "lost_request"])
def test_a_create_whose_answer_is_lost_makes_one_record(vendor: Vendor, connector: Connector, name: str) -> None:
    if vendor.create_operation is None:
        assert vendor.lacks["create"]
        assert not [one for one in capabilities(vendor.name).operations if connector.operation(one).creates]
        return
    operation, requests = connector.operation(vendor.create_operation), vendor.creates(3)
    assert operation.creates and not operation.repeatable
    fault(vendor, name, write=True)
    assert [a.outcome for a in send(connector, requests)] == ["uncertain"] * 3
    if operation.guard is Guard.LOOK_UP:  # nothing else stands in the way of a second one
        there = connector.look_up(operation, requests)
        requests = [one for one in requests if not there[one.doc_uid]]
    if requests:
        send(connector, requests)
    assert vendor.created() == 3


def test_each_item_ends_on_its_own(vendor: Vendor, connector: Connector) -> None:
    answers = send(connector, vendor.requests(4, bad=[1]))
    assert [a.outcome for a in answers] == ["applied", "refused", "applied", "applied"], answers
    assert vendor.applied() == 3


def test_a_refusal_has_a_stable_reason_and_the_vendors_words(vendor: Vendor, connector: Connector) -> None:
    (answer,) = send(connector, vendor.requests(1, bad=[0]))
    assert answer.outcome == "refused" and answer.reason in vendor.bad_reasons
    assert re.fullmatch(r"[a-z][a-z0-9_]*", answer.reason or "") and len(answer.message) > 10


def test_an_amount_of_18_digits_arrives_exactly_or_is_refused(vendor: Vendor, connector: Connector) -> None:
    request = vendor.with_amount(EIGHTEEN if "decimals_18" in vendor.lacks else vendor.exact)
    (answer,) = send(connector, [request])
    if "decimals_18" in vendor.lacks:
        assert answer.outcome == "refused", vendor.lacks["decimals_18"]
        return
    assert answer.outcome == "applied", answer.message
    found = connector.look_up(connector.operation(request.operation), [request])
    assert [one.differences for one in found[request.doc_uid]] == [()]


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
    assert [a.outcome for a in send(connector, requests)] == ["uncertain"] * 3
    assert vendor.applied() == applied
    found = connector.look_up(connector.operation(vendor.operation), requests)
    good = [uid for uid, there in found.items() if there and not there[0].differences]
    assert len(good) == applied


def test_an_item_that_is_missing_from_the_answer_is_uncertain(vendor: Vendor, connector: Connector) -> None:
    fault(vendor, "item_missing", write=True, index=1)
    answers = send(connector, vendor.requests(3))
    assert [a.outcome for a in answers] == ["applied", "uncertain", "applied"]
    assert vendor.applied() == 3


def test_throttled_and_expired_writes_were_not_applied(vendor: Vendor, connector: Connector) -> None:
    requests = vendor.requests(6)
    fault(vendor, "expired_token", write=True)
    assert [a.outcome for a in send(connector, requests[:3])] == ["applied"] * 3
    assert vendor.applied() == 3
    fault(vendor, "status_429", write=True, retry_after=7)
    answers = send(connector, requests[3:])
    assert [a.outcome for a in answers] == ["throttled"] * 3 and all(a.retry_after for a in answers)
    calls = counters(connector).calls
    assert {a.outcome for a in send(connector, requests[3:])} == {"throttled"}, "the seven seconds are not over"
    assert counters(connector).calls == calls
    assert vendor.applied() == 3


def test_what_is_not_offered_is_refused_with_what_there_is(vendor: Vendor, connector: Connector) -> None:
    with pytest.raises(ConfigurationFault, match=re.escape(vendor.operation)):
        connector.operation("nothing.at_all")
    too_many = vendor.requests(1) * (connector.operation(vendor.operation).batch + 1)
    with pytest.raises(ConfigurationFault, match="at most"):
        send(connector, too_many)


def test_capabilities_name_what_there_is(vendor: Vendor, connector: Connector) -> None:
    can = capabilities(vendor.name)
    assert vendor.operation in can.operations
    for name in can.operations:
        operation = connector.operation(name)
        assert not (operation.creates and operation.repeatable)
        assert operation.batch >= 1 and operation.quiet_period > timedelta(0)
    assert set(vendor.lacks) <= set(POINTS) and all(vendor.lacks.values()), "each with its reason"
