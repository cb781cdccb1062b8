"""Everything bad that quote-to-cash may meet, in each pair, waits with its reason and a remedy and names its record.

Nothing of it is in the books; the good beside it is billed to the cent; once it is mended it is billed, once.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.proofs.bad_input import CASES, CLOSED, DAY, NET, THREE_CHAIRS, Case
from tests.proofs.office import ALL, Office, link_of, opened
from tests.proofs.sales import Order
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tieout.delivery import people
from tieout.store import aliases

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "all that is bad waits with its reason and is billed once it is mended; the good beside it is billed",
        scenario="quote_to_cash",
    ),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("crm", "ledger"), ALL)
def test_what_is_bad_waits_for_its_mending_and_what_is_good_is_billed(
    crm: str, ledger: str, sandbox: SandboxProcess, database_url: str
) -> None:
    with opened(crm, ledger, sandbox, database_url, exchange_rate="crm") as office:
        _waits_and_is_mended(office, crm, ledger)


def _waits_and_is_mended(office: Office, crm: str, ledger: str) -> None:
    office.finance.currencies("EUR")
    office.finance.close_until(CLOSED)
    office.sales.sell({"CHAIR": "Chair", "GHOST": "Not in the books"}, ("USD", "EUR", "CHF"))
    spoilt = [case for case in CASES if _enter(office, case)]
    waiting = [case for case in spoilt if case.why(ledger, crm)]
    office.pair.run()
    for case in waiting:
        _waits(office, case, case.why(ledger, crm))
    good = {case.key: case.net for case in CASES if case not in waiting}
    office.expect("what is billed", good, office.nets())
    # Nobody has mended anything: nothing happens.
    sent = office.pair.sends()
    office.pair.run()
    office.expect("sends of the second run", sent, office.pair.sends())
    assert not office.differences, "\n".join(office.differences)

    for case in waiting:
        _mend(office, case)
    office.pair.run()
    for case in CASES:
        office.expect(case.key, ("posted", None), office.judged(f"order:{case.key}"))
        office.expect(f"what is said of {case.key}", [], office.told(*_records(office, case)))
    office.expect("what is billed", {case.key: case.net for case in CASES}, office.nets())
    sent = office.pair.sends()
    office.pair.run()
    office.expect("sends after all", sent, office.pair.sends())
    assert not office.differences, "\n".join(office.differences)


def _enter(office: Office, case: Case) -> bool:
    """Enters the order and spoils it; False where the CRM does not let it be spoilt, which it says."""
    sales, crm = office.sales, office.pair.link.crm_system
    sales.account(case.customer, currency=case.currency)
    entered = sales.order(Order(case.key, case.customer, DAY, case.lines, case.currency, case.rate))
    office.expect(f"entering {case.key}", "", entered)
    said = sales.change(case.record, **case.bad) if case.bad else ""
    wanted = case.refused.get(crm)
    if (wanted is None) != (not said) or (wanted is not None and wanted not in said):
        office.differences.append(f"{case.key}: {crm} should have said {wanted!r}, and said {said!r}")
    by_door = bool(said) and case.old
    if by_door and case.part == "line":
        sales.old(case.record, **case.bad)
    office.expect(f"activation of {case.key}", "", sales.activate(case.key))
    if by_door and case.part != "line":
        sales.old(case.record, **case.bad)
    return by_door or not said


def _records(office: Office, case: Case) -> list[str]:
    """The order, its lines and its customer."""
    head = f"order:{case.key}"
    return [*(one for one in office.sales.ids if one == head or one.startswith(f"{head}:")), f"account:{case.customer}"]


def _waits(office: Office, case: Case, reason: str) -> None:
    outcome, why = office.judged(f"order:{case.key}")
    office.expect(f"reason of {case.key}", reason, why)
    office.expect(f"{case.key} waits", True, outcome in ("held", "quarantined"))
    told = office.told(*_records(office, case))
    if not told:
        office.differences.append(f"{case.key}: nobody is told")
    for one in told:
        for word in ("message", "expected", "found", "remedy"):
            office.expect(f"{case.key}: {one.reason}'s {word} says something", True, bool(getattr(one, word)))


def _mend(office: Office, case: Case) -> None:
    if case.by_finance == "item":
        office.finance.item(case.lines[0].product)
    if case.by_finance == "currency":
        office.finance.currencies("EUR", case.currency)
    record, words = case.record, case.good
    if (of_line := case.by_line.get(office.pair.link.crm_system)) is not None:
        record, words = f"order:{case.key}:1", of_line
    # What the ledger refused meanwhile, a person orders once more: it is the same customer still.
    for row in office.ask("select intent_id from tieout.intent where state = 'REJECTED' and source_id = :id",
                          id=office.sales.ids[f"account:{case.customer}"]):  # fmt: skip
        with office.pair.engine.begin() as conn:
            people.try_again(conn, row.intent_id, "a controller", "the currency is enabled now")
    if words:
        office.expect(f"mending of {case.key}", "", office.sales.change(record, **words))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("crm", "ledger"), ALL)
def test_people_find_the_way_out_of_what_only_they_can_decide(
    crm: str, ledger: str, sandbox: SandboxProcess, database_url: str
) -> None:
    with opened(crm, ledger, sandbox, database_url) as office:
        office.sales.sell({"CHAIR": "Chair"}, ("USD",))
        for customer in ("Acme Ltd", "Later Ltd"):
            office.sales.account(customer)
        _an_order_without_lines(office, crm)
        _an_order_of_nobody(office, crm)
        _two_customers_of_one_name(office)
        _an_order_changed_after_payment(office)
        _a_customer_that_only_finance_may_make(office)
        assert not office.differences, "\n".join(office.differences)


def _activated(office: Office, key: str, account: str) -> None:
    office.expect(f"entering {key}", "", office.sales.order(Order(key, account, DAY, THREE_CHAIRS)))
    office.expect(f"activation of {key}", "", office.sales.activate(key))


def _billed(office: Office, *keys: str) -> None:
    """They are in the books, and another run sends nothing."""
    office.pair.run()
    nets = office.nets()
    for key in keys:
        office.expect(key, (("posted", None), NET), (office.judged(f"order:{key}"), nets.get(key)))
    sent = office.pair.sends()
    office.pair.run()
    office.expect(f"sends after {', '.join(keys)}", sent, office.pair.sends())


def _stopped(office: Office, key: str, reason: str, *records: str) -> None:
    """It waits with its reason, people are told what to do, and nothing of it is in the books."""
    office.expect(f"reason of {key}", reason, office.judged(f"order:{key}")[1])
    told = office.told(f"order:{key}", *records)
    office.expect(f"{key}: a remedy", True, bool(told) and all(one.remedy and one.message for one in told))
    office.expect(f"{key} is billed", None, office.nets().get(key))


def _an_order_without_lines(office: Office, crm: str) -> None:
    sales = office.sales
    office.expect("entering", "", sales.order(Order("no-lines", "Acme Ltd", DAY, ())))
    said = sales.activate("no-lines")
    if crm == "salesforce":
        office.expect("it refuses that itself", True, "An order must have at least one product" in said)
    else:
        office.expect("activation", "", said)
        office.pair.run()
        _stopped(office, "no-lines", "lines_missing")
    sales.add_line("no-lines", THREE_CHAIRS[0])
    if crm == "salesforce":
        office.expect("activation with a line", "", sales.activate("no-lines"))
    _billed(office, "no-lines")


def _an_order_of_nobody(office: Office, crm: str) -> None:
    sales = office.sales
    said = sales.order(Order("of-nobody", None, DAY, THREE_CHAIRS))
    if crm == "salesforce":
        office.expect("it refuses that itself", True, "REQUIRED_FIELD_MISSING" in said and "AccountId" in said)
        return
    office.expect("activation", "", sales.activate("of-nobody"))
    office.pair.run()
    _stopped(office, "of-nobody", "customer_missing")
    office.expect("mending", "", sales.change("order:of-nobody", account="Acme Ltd"))
    _billed(office, "of-nobody")


def _two_customers_of_one_name(office: Office) -> None:
    """The ledgers take a name once: one of both is made, the other waits and is not billed as the first."""
    twins = {"twin-1": "Leeds", "twin-2": "Bath"}
    for key, city in twins.items():
        office.sales.account(key, name="Twin Ltd", city=city, postcode=city[:2])
        _activated(office, key, key)
    office.pair.run()
    (waiting,) = (key for key in twins if office.judged(f"order:{key}")[0] != "posted")
    _stopped(office, waiting, "customer_name_taken")
    office.expect("mending", "", office.sales.change(f"account:{waiting}", name=f"Twin of {twins[waiting]} Ltd"))
    _billed(office, *twins)
    names = {one.reference: one.customer for one in office.pair.invoices()}
    office.expect("whom they bill", f"Twin of {twins[waiting]} Ltd", names[waiting])


def _an_order_changed_after_payment(office: Office) -> None:
    pair = office.pair
    _activated(office, "paid", "Acme Ltd")
    _billed(office, "paid")
    (invoice,) = (one for one in pair.invoices() if one.reference == "paid")
    pair.ledger.pay(pair.ledger_connection, invoice, Decimal("10.00"), today(pair.link).isoformat())
    office.expect("changing", "", office.sales.change("order:paid:1", quantity=Decimal(4)))
    pair.run()
    office.expect("reason of paid", ("held", "changed_after_payment"), office.judged("order:paid"))
    office.expect("a remedy", True, all(one.remedy for one in office.told("order:paid")))
    office.expect("its invoice stays", NET, office.nets().get("paid"))
    office.expect("changing it back", "", office.sales.change("order:paid:1", quantity=Decimal(3)))
    _billed(office, "paid")


def _a_customer_that_only_finance_may_make(office: Office) -> None:
    pair = office.pair
    pair.link = link_of(pair.link.crm_system, pair.link.ledger_system, unmatched_customer="hold")
    _activated(office, "unknown", "Later Ltd")
    pair.run()
    _stopped(office, "unknown", "customer_not_found")
    made = office.finance.customer("Later Limited of Leeds")
    with pair.engine.begin() as conn:
        aliases.approve(conn, pair.link.name, "account", office.sales.ids["account:Later Ltd"], made, by="a person")
    _billed(office, "unknown")
