"""Won deals billed without an order, in each pair: by their lines or their amount, on their day, once."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest

from tests.proofs.office import ALL, Office, opened
from tests.proofs.sales import Line, Words
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tieout.model.link import Split
from tieout.scenarios import fiscal_period, reconciliation
from tieout.scenarios.periods.calendar import calendar_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "won deals without an order are billed once, by their lines or their amount", scenario="quote_to_cash"
    ),
]
MARCH, APRIL = date(2026, 3, 10), date(2026, 4, 14)
CHAIRS = (Line("CHAIR", Decimal(3), Decimal("12.35"), Decimal(5)), Line("CHAIR", Decimal(1), Decimal("0.99")))
#: 3 x 12.35 less 5 % is 35.1975, which is 35.20; and 0.99.
OF_LINES = Decimal("36.19")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("crm", "ledger"), ALL)
def test_won_deals_are_billed_once_and_what_is_bad_waits(
    crm: str, ledger: str, sandbox: SandboxProcess, database_url: str
) -> None:
    # A deal has no number but the CRM's id, of up to 18 characters: with a prefix, QuickBooks' 21 have no room for the
    # ending by which a second invoice of the deal is told apart.
    policies = {"trigger": "opportunity_won", "split": Split(rule="one_line"), "invoice_number": "{number}"}
    with opened(crm, ledger, sandbox, database_url, **policies) as office:
        office.sales.sell({"CHAIR": "Chair"}, ("USD",))
        office.sales.account("Acme Ltd")
        _a_month_is_backfilled(office)
        _what_is_bad_waits(office)
        _what_happens_afterwards(office)
        assert not office.differences, "\n".join(office.differences)


def _a_month_is_backfilled(office: Office) -> None:
    """The won deals of March, and no other ones."""
    sales = office.sales
    sales.deal("of lines", "Acme Ltd", MARCH, lines=CHAIRS)
    sales.deal("of an amount", "Acme Ltd", MARCH, amount=Decimal("100.00"), product="CHAIR")
    sales.deal("late at night", "Acme Ltd", MARCH, amount=Decimal("10.00"), product="CHAIR")
    sales.deal("of April", "Acme Ltd", APRIL, amount=Decimal("7.77"), product="CHAIR")
    sales.deal("open", "Acme Ltd", MARCH, amount=Decimal("70.00"), product="CHAIR")
    sales.deal("lost", "Acme Ltd", MARCH, amount=Decimal("80.00"), product="CHAIR")
    if office.pair.link.crm_system == "hubspot":
        # A deal's day is a moment there: half past eleven of that evening in New York, when it is the 11th in London.
        office.expect("late at night", "", sales.change("deal:late at night", day="2026-03-11T03:30:00.000Z"))
    for key in ("of lines", "of an amount", "late at night", "of April"):
        office.expect(f"winning {key}", "", sales.win(key))
    office.expect("losing", "", sales.lose("lost"))
    with office.pair.services() as services:
        numbers = fiscal_period.run(services, calendar_of(services).period_of(MARCH).label)
    office.expect("applied", 3, numbers["applied"])
    billed = {"of lines": OF_LINES, "of an amount": Decimal("100.00"), "late at night": Decimal("10.00")}
    office.expect("what is billed of March", billed, office.nets())
    office.expect("its days", {MARCH.isoformat()}, {one.day for one in office.pair.invoices()})
    office.pair.run()
    office.expect("what is billed", {**billed, "of April": Decimal("7.77")}, office.nets())
    numbers_shown = {one.reference: one.number for one in office.pair.invoices()}
    for key, number in numbers_shown.items():
        office.expect(f"{key} shows", {"invoice": number}, sales.shown(f"deal:{key}", "invoice"))
    office.expect("open shows", {"invoice": None}, sales.shown("deal:open", "invoice"))


def _what_is_bad_waits(office: Office) -> None:
    sales = office.sales
    sales.deal("of nobody", None, APRIL, amount=Decimal("20.00"), product="CHAIR")
    sales.deal("of nothing", "Acme Ltd", APRIL, product="CHAIR")
    sales.deal("below zero", "Acme Ltd", APRIL, amount=Decimal("-5.00"), product="CHAIR")
    sales.deal("of a ghost", "Acme Ltd", APRIL, amount=Decimal("30.00"), product="GHOST")
    reasons = {"of nobody": "customer_missing", "of nothing": "lines_missing", "below zero": "amount_negative",
               "of a ghost": "unknown_product"}  # fmt: skip
    for key in reasons:
        office.expect(f"winning {key}", "", sales.win(key))
    before = office.nets()
    office.pair.run()
    for key, reason in reasons.items():
        office.expect(f"reason of {key}", reason, office.judged(f"deal:{key}")[1])
        told = office.told(f"deal:{key}")
        office.expect(f"{key}: a remedy", True, bool(told) and all(one.remedy and one.message for one in told))
    office.expect("nothing of it is billed", before, office.nets())
    sent = office.pair.sends()
    office.pair.run()
    office.expect("sends of a second run", sent, office.pair.sends())
    mended: dict[str, Words] = {"of nobody": {"account": "Acme Ltd"}, "of nothing": {"amount": Decimal("40.00")},
              "below zero": {"amount": Decimal("5.00")}, "of a ghost": {"product": "CHAIR"}}  # fmt: skip
    for key, words in mended.items():
        office.expect(f"mending {key}", "", sales.change(f"deal:{key}", **words))
    office.pair.run()
    nets = {"of nobody": "20.00", "of nothing": "40.00", "below zero": "5.00", "of a ghost": "30.00"}
    office.expect(
        "what is mended is billed", {**before, **{key: Decimal(net) for key, net in nets.items()}}, office.nets()
    )


def _what_happens_afterwards(office: Office) -> None:
    """One is paid, one is won, the amount of one changes: what the CRM shows follows, and both sides tie out."""
    sales, pair = office.sales, office.pair
    (paid,) = (one for one in pair.invoices() if one.reference == "of lines")
    pair.ledger.pay(pair.ledger_connection, paid, OF_LINES, today(pair.link).isoformat())
    office.expect("winning", "", sales.win("open"))
    office.expect("another amount", "", sales.change("deal:of an amount", amount=Decimal("90.00")))
    pair.run()
    office.expect("what is due", Decimal(0), Decimal(sales.shown("deal:of lines", "due")["due"]))
    office.expect("what was open", ("posted", None), office.judged("deal:open"))
    nets: dict[str, Decimal] = defaultdict(Decimal)
    for one in pair.invoices():
        nets[one.reference] += one.net
    credited = sum(net for _, net, _ in pair.ledger.credited(pair.ledger_connection))
    office.expect("the other amount", Decimal("90.00"), nets["of an amount"] - credited)
    office.expect("the one that was open", Decimal("70.00"), nets["open"])
    office.expect("breaks", [], pair.reconcile(*reconciliation.SALES))
    office.expect("losing what was billed", "", sales.lose("open"))
    pair.run()
    office.expect("a lost deal's invoice", ("held", "no_longer_billable"), office.judged("deal:open"))
