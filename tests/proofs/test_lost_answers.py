"""An answer that is lost after the ledger did its work, in each pair: it is found, counted, and not sent again."""

from __future__ import annotations

import pytest

from tests.proofs.bad_input import DAY, NET, THREE_CHAIRS
from tests.proofs.finance import MAKES_INVOICES
from tests.proofs.office import ALL, Office, opened
from tests.proofs.sales import Order
from tests.support.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves("invoices whose answer was lost are found, counted and not sent again", scenario="crash"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("crm", "ledger"), ALL)
def test_invoices_whose_answer_was_lost_are_found_and_the_books_close(
    crm: str, ledger: str, sandbox: SandboxProcess, database_url: str
) -> None:
    with opened(crm, ledger, sandbox, database_url) as office:
        office.sales.sell({"CHAIR": "Chair"}, ("USD",))
        office.sales.account("Acme Ltd")
        _activated(office, "a")
        assert office.pair.run()["posted"] == 1  # the customer is there from now on
        _activated(office, "b", "c")
        sandbox.faults({**MAKES_INVOICES[ledger], "fault": "lost_answer", "times": 1})
        lost = office.pair.run()
        assert (lost["posted"], lost["in_flight"]) == (0, 2), (
            "nobody knows of them, and nobody says that they are billed"
        )
        assert len(sandbox.hits()) == 1
        sent = office.pair.sends()
        office.later()
        found = office.pair.run()
        assert (found["posted"], found["in_flight"], found["quarantined"]) == (2, 0, 0), office.pair.reasons()
        # What goes out now is what the CRM is told of the two.
        assert office.pair.sends() == sent + 2
        assert office.nets() == {"a": NET, "b": NET, "c": NET}
        assert not office.differences
        assert office.ask("select * from tieout.dead_letter where state = 'open'") == []
        for key in ("a", "b", "c"):
            assert office.judged(f"order:{key}") == ("posted", None)


def _activated(office: Office, *keys: str) -> None:
    for key in keys:
        assert office.sales.order(Order(key, "Acme Ltd", DAY, THREE_CHAIRS)) == ""
        assert office.sales.activate(key) == ""
