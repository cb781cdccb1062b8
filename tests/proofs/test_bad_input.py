"""Everything bad that quote-to-cash may meet, in each pair, waits with its reason and a remedy and names its record.

Nothing of it is in the books; the good beside it is billed to the cent; once it is mended it is billed, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tests.proofs.bad_input import CASES, CLOSED, DAY, Case
from tests.proofs.company import QUICK
from tests.proofs.finance import FINANCE
from tests.proofs.pairs import CRMS, LEDGERS
from tests.proofs.sales import SALES, Order
from tests.proofs.test_pairs import LINKS, PAIRS, Pair
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.link import Link
from tieout.model.settings import PROJECT
from tieout.store.engine import connect

pytestmark = pytest.mark.slow
ALL = [("salesforce", "xero"), *PAIRS]


def link_of(crm: str, ledger: str, **policies: Any) -> Link:
    """A pair's link with other policies."""
    beside = (crm, ledger) == ("salesforce", "xero")
    link = load_link(
        PROJECT / "include" / "links" / "northwind.yaml" if beside else LINKS / f"northwind_{crm}_{ledger}.yaml"
    )
    return link.model_copy(update={"policies": link.policies.model_copy(update=policies)})


class Office:
    """A pair with the people of both sides. `differences`: what was not as it has to be, in sentences."""

    def __init__(self, sandbox: SandboxProcess, database_url: str, link: Link) -> None:
        crm, ledger = CRMS[link.crm_system], LEDGERS[link.ledger_system]
        connections = crm.connection(sandbox, link.crm), ledger.connection(sandbox, link.ledger)
        crm.prepare(sandbox, connections[0])
        ledger.prepare(sandbox, connections[1], [("CHAIR", "Chair")])
        quick = [replace(one, extra={**one.extra, **QUICK}) for one in connections]
        self.pair = Pair(crm, ledger, link, *quick, connect(database_url))
        self.finance = FINANCE[link.ledger_system](connections[1], sandbox.url)
        self.sales = SALES[link.crm_system](connections[0], sandbox.url)
        self.differences: list[str] = []

    def close(self) -> None:
        self.sales.close()
        self.pair.engine.dispose()

    def ask(self, statement: str, **values: Any) -> Any:
        with self.pair.engine.connect() as conn:
            return conn.execute(sa.text(statement), values).all()

    def expect(self, what: str, wanted: Any, found: Any) -> None:
        if wanted != found:
            self.differences.append(f"{what}: expected {wanted!r}, found {found!r}")

    def nets(self) -> dict[str, Decimal]:
        """The customer's reference -> the net of its invoice; one that is billed twice is a difference."""
        invoices = self.pair.invoices()
        for reference, count in Counter(one.reference for one in invoices).items():
            self.expect(f"invoices of {reference}", 1, count)
        return {one.reference: one.net for one in invoices}

    def judged(self, record: str) -> tuple[str, str | None]:
        """(outcome, reason) of an order or a deal."""
        (row,) = self.ask(
            "select outcome, reason from tieout.document where source_id = :id", id=self.sales.ids[record]
        )
        return row.outcome, row.reason

    def told(self, *records: str) -> list[Any]:
        """What people are told of these records: open dead letters."""
        return self.ask(
            "select source_id, reason, message, expected, found, remedy from tieout.dead_letter "
            "where state = 'open' and source_id = any(:ids)", ids=[self.sales.ids[one] for one in records]
        )  # fmt: skip


@pytest.fixture
def office(request: pytest.FixtureRequest, sandbox: SandboxProcess, database_url: str) -> Iterator[Office]:
    crm, ledger, policies = request.param
    office = Office(sandbox, database_url, link_of(crm, ledger, **policies))
    try:
        yield office
    finally:
        office.close()


def _pairs(**policies: Any) -> Any:
    ids = ["-".join(one) for one in ALL]
    return pytest.mark.parametrize("office", [(*one, policies) for one in ALL], indirect=True, ids=ids)


@pytest.mark.timeout(600)
@_pairs(exchange_rate="crm")
def test_what_is_bad_waits_for_its_mending_and_what_is_good_is_billed(office: Office) -> None:
    crm, ledger = office.pair.link.crm_system, office.pair.link.ledger_system
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
    if words:
        office.expect(f"mending of {case.key}", "", office.sales.change(record, **words))
