"""What a proposal keeps of its intents comes back as it was, dates in the books among it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.support.delivery import intent
from tieout.scenarios.approval import frozen_intents, thawed
from tieout.store.proposals import NotAllowed


def kept(**changes: Any) -> dict[str, Any]:
    (found,) = frozen_intents([intent(1, **changes)])
    return found


@pytest.mark.parametrize("day", [date(2026, 3, 10), None])
def test_an_intent_comes_back_as_it_was(day: date | None) -> None:
    made = intent(1, kind="void", posting_date=day, depends_on=("parent",), frozen={"rate": "1.2"})
    (found,) = frozen_intents([made])
    assert found["posting_date"] == (None if day is None else "2026-03-10"), "as JSON keeps it"
    assert thawed(found) == made
    assert thawed(found, proposal=7).frozen == {"rate": "1.2", "proposal": 7}


def test_what_an_earlier_release_proposed_has_its_date_in_its_body() -> None:
    earlier = kept(body={"Date": "2026-03-12"})
    del earlier["posting_date"]
    assert thawed(earlier).posting_date == date(2026, 3, 12)


def test_a_void_that_an_earlier_release_proposed_is_proposed_anew() -> None:
    earlier = kept(kind="void", body={"InvoiceID": "v-1", "Status": "VOIDED"})
    del earlier["posting_date"]
    with pytest.raises(NotAllowed, match="propose anew"):
        thawed(earlier)
    draft = kept(kind="void", body={"InvoiceID": "v-1", "Status": "DELETED"})
    del draft["posting_date"]
    assert thawed(draft).posting_date is None
