"""The plan decides by (seed, rule, match) alone, and refuses what it cannot read."""

from __future__ import annotations

import pytest

from sandbox.faults import ON_THE_WIRE, BadPlan, FaultPlan, Faults, fires


def run(plan: FaultPlan, calls: int, path: str = "/Invoices") -> list[bool]:
    return [plan.decide(ON_THE_WIRE, "xero", "PUT", path) is not None for _ in range(calls)]


def test_the_same_plan_gives_the_same_faults() -> None:
    plan = FaultPlan()
    rules = [{"fault": "lost_answer", "probability": 0.3}]
    plan.load({"seed": 7, "rules": rules})
    first = run(plan, 200)
    plan.load({"seed": 7, "rules": rules})
    assert run(plan, 200) == first == [fires(7, 0, n, 0.3) for n in range(1, 201)]
    assert 30 < sum(first) < 90
    plan.load({"seed": 8, "rules": rules})
    assert run(plan, 200) != first


def test_calls_that_do_not_match_do_not_move_the_draws() -> None:
    plan = FaultPlan()
    plan.load({"seed": 7, "rules": [{"fault": "slow", "path": "/Inv*", "method": "put", "probability": 0.5}]})
    alone = run(plan, 50)
    plan.load({"seed": 7, "rules": [{"fault": "slow", "path": "/Inv*", "method": "put", "probability": 0.5}]})
    mixed = []
    for _ in range(50):
        run(plan, 3, "/Contacts")
        plan.decide(ON_THE_WIRE, "xero", "GET", "/Invoices")
        mixed += run(plan, 1)
    assert mixed == alone


def test_after_and_times_bound_the_hits() -> None:
    plan = FaultPlan()
    plan.load({"rules": [{"fault": "lost_request", "after": 2, "times": 3}]})
    assert run(plan, 8) == [False, False, True, True, True, False, False, False]
    seen = plan.as_json()
    assert seen["rules"][0]["matches"] == 8 and seen["rules"][0]["hits"] == 3
    assert [hit["match"] for hit in seen["hits"]] == [3, 4, 5]


def test_faults_of_the_app_are_taken_by_the_app_only() -> None:
    plan = FaultPlan()
    plan.load({"rules": [{"fault": "item_missing", "system": "xero", "times": 1, "params": {"index": 2}}]})
    assert run(plan, 1) == [False]
    assert Faults(plan, "salesforce").take("item_missing", "PUT", "/x") is None
    assert Faults(plan, "xero").take("stale_read", "PUT", "/x") is None
    assert Faults(plan, "xero").take("item_missing", "PUT", "/x") == {"index": 2}
    assert Faults(plan, "xero").take("item_missing", "PUT", "/x") is None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([], "must be an object"),
        ({"seeds": 1}, "unknown key 'seeds'"),
        ({"rules": [{"fault": "fire"}]}, "unknown fault 'fire'"),
        ({"rules": [{"fault": "slow", "probability": 2}]}, "from 0 to 1"),
        ({"rules": [{"fault": "slow", "chance": 1}]}, "unknown key 'chance'"),
        ({"rules": [{"fault": "slow", "after": -1}]}, "whole number"),
        ({"rules": [{"fault": "slow", "params": 3}]}, "object"),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused_and_the_old_one_stays(plan: object, message: str) -> None:
    faults = FaultPlan()
    faults.load({"rules": [{"fault": "slow"}]})
    with pytest.raises(BadPlan, match=message):
        faults.load(plan)
    assert faults.rules[0].fault == "slow"
