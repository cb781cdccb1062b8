"""A pair of a CRM and a ledger with the people of both sides, for proofs that enter records one by one.

`differences` collects what is not as it has to be, so that one run tells of everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tests.proofs.company import QUICK
from tests.proofs.finance import FINANCE
from tests.proofs.pairs import CRMS, LEDGERS
from tests.proofs.sales_hubspot import InHubSpot
from tests.proofs.sales_salesforce import InSalesforce
from tests.proofs.test_pairs import LINKS, PAIRS, Pair
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.link import Link
from tieout.model.settings import PROJECT
from tieout.store.engine import connect

SALES = {"salesforce": InSalesforce, "hubspot": InHubSpot}
#: Every pair of (CRM, ledger).
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
        of_crm, of_ledger = (replace(one, extra={**one.extra, **QUICK}) for one in connections)
        self.pair = Pair(crm, ledger, link, of_crm, of_ledger, connect(database_url))
        self.finance = FINANCE[link.ledger_system](connections[1], sandbox.url)
        self.sales: InSalesforce | InHubSpot = SALES[link.crm_system](connections[0], sandbox.url)
        self.differences: list[str] = []

    def close(self) -> None:
        self.sales.close()
        self.pair.engine.dispose()

    def ask(self, statement: str, **values: Any) -> list[Any]:
        with self.pair.engine.connect() as conn:
            return list(conn.execute(sa.text(statement), values).all())

    def expect(self, what: str, wanted: Any, found: Any) -> None:
        if wanted != found:
            self.differences.append(f"{what}: expected {wanted!r}, found {found!r}")

    def later(self) -> None:
        """The store as it is a quarter of an hour later: leases and quiet periods are over."""
        with self.pair.engine.begin() as conn:
            conn.execute(sa.text(
                "update tieout.intent set lease_until = lease_until - interval '15 minutes', "
                "not_before = not_before - interval '15 minutes', sent_at = sent_at - interval '15 minutes' "
                "where state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
            ))  # fmt: skip

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


@contextmanager
def opened(crm: str, ledger: str, sandbox: SandboxProcess, database_url: str, **policies: Any) -> Iterator[Office]:
    """The office of a pair, whose link has these policies."""
    office = Office(sandbox, database_url, link_of(crm, ledger, **policies))
    try:
        yield office
    finally:
        office.close()
