"""Everything bad that quote-to-cash may meet, in each pair, waits with its reason and a remedy and names its record.

Nothing of it is in the books; the good beside it is billed to the cent; once it is mended it is billed, once.
"""

from __future__ import annotations

import pytest

from tests.proofs.bad_input import CASES, CLOSED, DAY, Case
from tests.proofs.office import ALL, Office, opened
from tests.proofs.sales import Order
from tests.support.sandbox import SandboxProcess
from tieout.delivery import people

pytestmark = pytest.mark.slow


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
    sales.order(Order(case.key, case.customer, DAY, case.lines, case.currency, case.rate))
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
