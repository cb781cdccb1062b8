"""Makes a plan that fails as small as it gets: delta debugging over its parts.

A smaller plan counts when it fails with the same invariant. What is left is a plan from which no single part can be
taken away, unless the bound on plays was reached first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tieout.delivery.simulation.plan import Doc, Plan

Part = TypeVar("Part")
#: Plays that one minimisation may take.
MOST_PLAYS = 400


def minimise(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The smallest plan found that still fails.

    Args:
        plan: fails.
        fails: plays a plan, and says whether it fails in the same way.
    """
    left = [MOST_PLAYS]

    def still(candidate: Plan) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(candidate)

    smaller = True
    while smaller and left[0] > 0:
        before = plan
        plan = _fewer_callers(_fewer_docs(_fewer_strikes(plan, still), still), still)
        plan = _simpler(plan, still)
        smaller = plan != before
    return plan


def _fewer_strikes(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    parts = _fewer(plan.strikes, lambda parts: still(replace(plan, strikes=tuple(parts))))
    return replace(plan, strikes=tuple(parts))


def _fewer_docs(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    parts = _fewer(plan.docs, lambda parts: _closed(parts) and still(replace(plan, docs=tuple(parts))))
    return replace(plan, docs=tuple(parts))


def _fewer_callers(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    parts = _fewer(plan.callers, lambda parts: still(replace(plan, callers=tuple(parts))))
    return replace(plan, callers=tuple(parts))


def _closed(docs: Sequence[Doc]) -> bool:
    """Is everything there that the documents rest on?"""
    there = {doc.number for doc in docs} | {None}
    return all({doc.parent, doc.twin} <= there for doc in docs)


def _simpler(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    """Plain settings where the others are not needed."""
    for candidate in (
        replace(plan, lag=0.0),
        replace(plan, writes_back=False),
        replace(plan, most_sends=50),
        replace(plan, key_life=30.0),
    ):
        if candidate != plan and still(candidate):
            return candidate
    return plan


def _fewer(parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool]) -> Sequence[Part]:
    """ddmin: takes away chunks, ever smaller ones, as long as it goes on failing."""
    size = len(parts)
    while size >= 1 and parts:
        start, removed = 0, False
        while start < len(parts):
            rest = [*parts[:start], *parts[start + size :]]
            if fails(rest):
                parts, removed = rest, True
            else:
                start += size
        if not removed or size > len(parts):
            size //= 2
    return parts
