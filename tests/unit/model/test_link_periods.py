"""The settings of a link's fiscal periods: what is taken, and what is refused with a word."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tieout.model.link import ApprovalOver, Over, Periods


def test_without_a_word_every_plan_is_approved_by_whoever_may() -> None:
    periods = Periods()
    assert (periods.approval, periods.approvers, periods.active_runs) == ("always", (), 1)


def test_bounds_are_of_documents_or_of_money() -> None:
    found = Periods.model_validate({"approval": {"over": {"documents": 40, "amount_minor": 5000}}})
    assert found.approval == ApprovalOver(over=Over(documents=40, amount_minor=5000))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"approval": "sometimes"}, "approval"),
        ({"approval": {"over": {}}}, "expected documents, amount_minor or both under 'over'"),
        ({"approval": {"over": {"documents": -1}}}, "greater than or equal to 0"),
        ({"approvers": [" "]}, "approvers"),
        ({"active_runs": 0}, "greater than or equal to 1"),
        ({"answer_within_hours": 0}, "greater than or equal to 1"),
        ({"apprvers": ["Anna"]}, "Extra inputs"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Periods.model_validate(given)
