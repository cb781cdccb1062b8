"""What two systems cannot do is refused by their declarations, before anything is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.mapping.frames import INCLUDE, demo_link, mappings
from tieout.connectors.registry import capabilities
from tieout.mapping.load import load_link
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link, Policies, Reconciliation, Returns, Schedule
from tieout.scenarios import pairs

LEAVE = Returns(of_paid="leave_open")


def link(crm: str, ledger: str, **changes: Any) -> Link:
    return demo_link().model_copy(update={"crm_system": crm, "ledger_system": ledger, "returns": LEAVE, **changes})


def checked(found: Link) -> None:
    crm, ledger = found.crm_system, found.ledger_system
    pairs.check(found, capabilities(crm), capabilities(ledger), mappings(crm), mappings(ledger))


@pytest.mark.parametrize("crm", ["salesforce", "hubspot"])
@pytest.mark.parametrize("ledger", ["xero", "quickbooks"])
@pytest.mark.parametrize("trigger", ["order_activated", "opportunity_won"])
def test_every_pair_can_do_what_a_plain_link_asks_for(crm: str, ledger: str, trigger: str) -> None:
    policies = demo_link().policies.model_copy(update={"trigger": trigger})
    checked(link(crm, ledger, policies=policies))


@pytest.mark.parametrize("path", sorted((INCLUDE / "links").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_links_can_be_done(path: Any) -> None:
    checked(load_link(path))


@pytest.mark.parametrize(
    ("crm", "ledger", "changes", "told"),
    [
        ("xero", "quickbooks", {}, "crm_system: expected a crm, found xero, which is a ledger"),
        ("salesforce", "hubspot", {}, "ledger_system: expected a ledger, found hubspot, which is a crm"),
        ("salesforce", "quickbooks", {"policies": Policies(invoice_status="draft")},
         "policies.invoice_status: draft, and invoices of quickbooks are in the books at once"),
        ("salesforce", "quickbooks", {"policies": Policies(invoice_number="OUR-LONG-INVOICE-NUMBER-{number}")},
         "policies.invoice_number: 24 characters beside the record's number, and quickbooks takes 21 in all"),
        ("salesforce", "xero", {"objects": {"retrun_order": "x"}}, "objects: retrun_order: no mapping has it"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_named(crm: str, ledger: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationFault, match=f"link demo: .*{told}"):
        checked(link(crm, ledger, **changes))


@pytest.mark.parametrize("ledger", ["xero", "quickbooks"])
def test_a_credit_is_paid_back_only_where_the_ledger_can(ledger: str) -> None:
    found = link("salesforce", ledger, returns=Returns(of_paid="refund", refund_account="090"))
    checked(found)
    able = capabilities(ledger)
    unable = replace(able, operations=tuple(one for one in able.operations if one != "refunds.create"))
    with pytest.raises(ConfigurationFault, match=f"refund, and the connector of {ledger} cannot pay a credit back"):
        pairs.check(found, capabilities("salesforce"), unable, mappings("salesforce"), mappings(ledger))


def test_a_crm_without_what_the_trigger_needs_is_refused() -> None:
    found = link("salesforce", "xero", schedules=Schedule(returns="0 * * * *"))
    crm = {name: one for name, one in mappings("salesforce").items() if not name.startswith(("order_line", "return"))}
    with pytest.raises(ConfigurationFault, match=r"needs order_line; salesforce has no mapping for it; .*return_order"):
        pairs.check(found, capabilities("salesforce"), capabilities("xero"), crm, mappings("xero"))


@pytest.mark.parametrize("lacking", ["currency", "organisation", "tax_rate"])
def test_a_ledger_without_what_billing_reads_is_refused(lacking: str) -> None:
    ledger = {name: one for name, one in mappings("xero").items() if name != lacking}
    with pytest.raises(ConfigurationFault, match=f"xero has no mapping for {lacking}"):
        pairs.check(
            link("salesforce", "xero"), capabilities("salesforce"), capabilities("xero"), mappings("salesforce"), ledger
        )


@pytest.mark.parametrize(("flow", "lacking"), [("product_sync", "price_book"), ("credit_sync", "credit")])
def test_a_flow_that_the_crm_has_nothing_for_is_refused(flow: str, lacking: str) -> None:
    crm = {name: one for name, one in mappings("salesforce").items() if name != lacking}
    asked = link("salesforce", "xero", schedules=Schedule(**{flow: "0 * * * *"}))
    with pytest.raises(ConfigurationFault, match=f"schedules.{flow}: salesforce has no mapping for {lacking}"):
        pairs.check(asked, capabilities("salesforce"), capabilities("xero"), crm, mappings("xero"))


def test_an_area_that_the_crm_has_nothing_for_is_refused() -> None:
    crm = {name: one for name, one in mappings("salesforce").items() if not name.startswith("return_order")}
    systems = capabilities("salesforce"), capabilities("xero")
    with pytest.raises(ConfigurationFault, match=r"reconciliation.areas: credit_memos needs return_order, .+leave"):
        pairs.check(link("salesforce", "xero"), *systems, crm, mappings("xero"))
    sales = Reconciliation(areas=("invoices", "tax", "payments"))
    found = link("salesforce", "xero", reconciliation=sales, schedules=Schedule())
    pairs.check(found, *systems, crm, mappings("xero"))
