"""Northwind and Maven from CSV to ledger in one process, against the independent arithmetic: to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.proofs.maven_arithmetic import expected_maven
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.scenarios.world import services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tests.support.shared import require_shared
from tieout.model.link import Link, Policies
from tieout.scenarios import quote_to_cash
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import make_items
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.load_csv import load_folder
from tieout.scenarios.services import Services
from tieout.store import aliases

pytestmark = [pytest.mark.slow, pytest.mark.shared, pytest.mark.timeout(900)]
UNLIMITED = {"minute": 1_000_000, "day": 1_000_000, "app_minute": 1_000_000}


@contextmanager
def company(
    sandbox: SandboxProcess, engine: Engine, folder: Path, profile: str, policies: Policies
) -> Iterator[Services]:
    """A company whose CRM is loaded from the folder and whose ledger, in dollars, knows the same product codes."""
    crm, ledger, doors = crm_connection(sandbox), ledger_connection(sandbox), Doors(sandbox.url)
    doors.custom_fields()
    doors.settings("xero", base_currency="USD", currencies=["USD"], limits=UNLIMITED)
    load_folder(crm, folder, profile)
    link = Link(
        name=profile, crm=crm.name, crm_system="salesforce", ledger=ledger.name, ledger_system="xero",
        base_currency="USD", revenue_account="200", tax_codes={"zero": "ZERORATEDOUTPUT"}, policies=policies,
    )  # fmt: skip
    with services_of(link, crm, ledger, engine) as services:
        yield services


def codes(sandbox: SandboxProcess, *names: str) -> None:
    """Items of the ledger."""
    with LedgerHand(ledger_connection(sandbox)) as hand:
        make_items(hand, [{"Code": name, "Name": name, "IsSold": True} for name in names])


def invoices(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    with LedgerHand(ledger_connection(sandbox)) as hand:
        return [invoice for invoice in hand.all("Invoices") if invoice["Type"] == "ACCREC"]


def test_northwind_is_billed_order_by_order_and_customer_by_customer_to_the_cent(
    sandbox: SandboxProcess, engine: Engine
) -> None:
    folder = require_shared("data", "northwind")
    books = expected_northwind(folder)
    policies = Policies(freight_product_code="FREIGHT", default_tax_code="zero")
    with company(sandbox, engine, folder, "northwind", policies) as services:
        codes(sandbox, "FREIGHT", *(f"NW-{number}" for number in range(1, 78)))
        summary = quote_to_cash.run(services)
        assert (summary["read"], summary["posted"]) == (len(books.orders), len(books.orders))
        found = invoices(sandbox)
        # The customer's purchase order number is the file's orderID; the invoice carries it as its reference.
        assert {one["Reference"]: one["SubTotal"] for one in found} == books.orders
        assert len(found) == len(books.orders)
        by_name: dict[str, Decimal] = defaultdict(Decimal)
        for one in found:
            by_name[one["Contact"]["Name"]] += one["Total"]
        assert sorted(by_name.values()) == sorted(books.by_customer.values())
        assert sum(by_name.values()) == books.total
        again = quote_to_cash.run(services)
        assert (again["posted"], again["unchanged"]) == (0, len(books.orders))
        assert len(invoices(sandbox)) == len(books.orders)


def test_maven_bills_won_deals_and_the_alias_once_it_is_approved(sandbox: SandboxProcess, engine: Engine) -> None:
    folder = require_shared("data", "maven_crm")
    books = expected_maven(folder)
    policies = Policies(trigger="opportunity_won", default_tax_code="zero")
    with company(sandbox, engine, folder, "maven", policies) as services:
        codes(sandbox, "GTX Basic", "GTX Pro", "MG Special", "MG Advanced", "GTX Plus Pro", "GTX Plus Basic", "GTK 500")
        first = quote_to_cash.run(services)
        assert (first["posted"], first["held"]) == (len(books.with_account), len(books.alias))
        assert sum(one["SubTotal"] for one in invoices(sandbox)) == books.total_with_account
        with engine.begin() as conn:
            aliases.approve(conn, services.link.name, "product", "GTXPro", "GTX Pro", by="a person")
        second = quote_to_cash.run(services)
        assert (second["posted"], second["unchanged"]) == (len(books.alias), len(books.with_account))
        by_name: dict[str, Decimal] = defaultdict(Decimal)
        for one in invoices(sandbox):
            by_name[one["Contact"]["Name"]] += one["Total"]
        assert by_name == books.by_account
