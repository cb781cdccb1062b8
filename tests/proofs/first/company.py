"""What the first proof of a new system shares (scaffold/*/files/proof.py): a small company with one proven side.

Sales in Salesforce, or books in Xero; the other side is the new system's, in its own test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from tests.scenarios.records import entry_key, record
from tests.scenarios.world import services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.reconcile import lines
from tieout.scenarios import quote_to_cash, reconciliation
from tieout.scenarios.crm_load import STANDARD_PRICE_BOOK, CrmRecord, Ref, load
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import FREIGHT, make_items
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services

CUSTOMER, ITEM = "Acme Ltd", "DESK"


@dataclass(frozen=True, slots=True)
class Sale:
    """One order of one line, and what has to be billed of it: before tax, and with 20 % (rounded half up)."""

    reference: str
    quantity: str
    price: str
    discount: str
    net: str
    total: str
    day: date = date(2026, 1, 15)


#: 3 x 19.99; 7 x 0.3333 less 12.5 % = 2.0414...; 1 x 1000.
SALES = (
    Sale("A-1", "3", "19.99", "0", "59.97", "71.96"),
    Sale("A-2", "7", "0.3333", "12.5", "2.04", "2.45"),
    Sale("A-3", "1", "1000", "0", "1000.00", "1200.00"),
)


@dataclass(frozen=True)
class Company:
    """One link over a sandbox and an empty store."""

    link: Link
    crm: Connection
    ledger: Connection
    engine: Engine

    @contextmanager
    def services(self) -> Iterator[Services]:
        with services_of(self.link, self.crm, self.ledger, self.engine) as services:
            yield services

    def run(self) -> dict[str, Any]:
        """Quote-to-cash, all steps."""
        with self.services() as services:
            return quote_to_cash.run(services)

    def tie_out(self) -> list[str]:
        """Reconciles; what does not agree of what is sold."""
        with self.services() as services:
            numbers = reconciliation.run(services, as_of=today(self.link))
            with services.engine.connect() as conn:
                breaks = lines.breaks(conn, self.link.name, most=1_000)
        assert numbers["state"] == "tied", numbers
        return [str(one) for one in breaks if one["area"] in reconciliation.SALES]

    def sends(self) -> int:
        """How often bytes may have gone out to either system."""
        with self.engine.connect() as conn:
            return int(conn.execute(text("select coalesce(sum(sends), 0) from tieout.intent")).scalar_one())

    def waiting(self) -> dict[str, str]:
        """Id of a CRM's order that waits -> its reason."""
        query = text("select source_id, reason from tieout.document where outcome in ('held', 'quarantined')")
        with self.engine.connect() as conn:
            return {row.source_id: row.reason for row in conn.execute(query)}


@dataclass
class SalesforceSales:
    """Sales at work in Salesforce. `ids`: reference of an order -> its id."""

    sandbox: SandboxProcess
    connection: Connection
    ids: dict[str, str] = field(default_factory=dict)

    def sell(self, *sales: Sale) -> None:
        """Orders, activated."""
        records: dict[str, list[CrmRecord]] = {"Account": [record("Account", "account", {"Name": CUSTOMER})]}
        records["Product2"] = [record("Product2", "product", {"Name": "A desk", "ProductCode": ITEM, "IsActive": True})]
        price = {"Pricebook2Id": Ref(STANDARD_PRICE_BOOK), "Product2Id": Ref("product"), "UnitPrice": "1"}
        entry = entry_key(ITEM, "USD")
        records["PricebookEntry"] = [
            CrmRecord("PricebookEntry", entry, {**price, "CurrencyIsoCode": "USD", "IsActive": True})
        ]
        records["Order"] = [
            record("Order", sale.reference, {
                "AccountId": Ref("account"), "Pricebook2Id": Ref(STANDARD_PRICE_BOOK), "Status": "Draft",
                "EffectiveDate": sale.day.isoformat(), "CurrencyIsoCode": "USD", "PoNumber": sale.reference,
            }) for sale in sales
        ]  # fmt: skip
        records["OrderItem"] = [
            record("OrderItem", f"{sale.reference}:1", {
                "OrderId": Ref(sale.reference), "PricebookEntryId": Ref(entry), "Quantity": sale.quantity,
                "UnitPrice": sale.price, "Discount_Percent__c": sale.discount,
            }) for sale in sales
        ]  # fmt: skip
        with open_crm(self.connection) as crm:
            loaded = load(crm, records)
            assert not loaded.refused, loaded.refused
            self.ids.update(loaded.ids)
        for sale in sales:
            self.change(sale.reference, Status="Activated")

    def change(self, reference: str, **fields: Any) -> None:
        """Changes an order."""
        with open_crm(self.connection) as crm:
            (answer,) = crm.update("Order", [{"Id": self.ids[reference], **fields}])
            assert answer.id, answer.error

    def spoil(self, object_name: str, key: str, **fields: Any) -> None:
        """What only an import could have put in: past every rule."""
        Doors(self.sandbox.url).raw(object_name, [{"Id": self.ids[key], **fields}])

    def shown(self, reference: str) -> Mapping[str, Any]:
        """What an order shows of its invoice."""
        fields = [f"Tieout_{name}__c" for name in ("Invoice_Number", "Invoice_Total", "Amount_Due", "Amount_Paid")]
        with open_crm(self.connection) as crm:
            rows = {row["Id"]: row for row in crm.rows("Order", fields)}
        return dict(zip(("number", "total", "due", "paid"), map(rows[self.ids[reference]].get, fields), strict=True))


def salesforce(sandbox: SandboxProcess, link: Link) -> SalesforceSales:
    """A Salesforce with the fields that Tieout needs."""
    Doors(sandbox.url).custom_fields()
    return SalesforceSales(sandbox, crm_connection(sandbox, link.crm))


@dataclass(frozen=True)
class XeroBooks:
    """Finance at work in Xero."""

    connection: Connection

    def invoices(self) -> list[dict[str, Any]]:
        """All sales invoices."""
        with LedgerHand(self.connection) as hand:
            return hand.all("Invoices")

    def pay(self, reference: str, amount: Decimal, day: date) -> None:
        """A customer pays something on the invoice of an order."""
        (invoice,) = (one for one in self.invoices() if one["Reference"] == reference)
        with LedgerHand(self.connection) as hand:
            hand.pay(invoice["InvoiceID"], amount, day)


def xero(sandbox: SandboxProcess, link: Link) -> XeroBooks:
    """A Xero in the link's currency, with the item that is sold."""
    sandbox.settings("xero", base_currency=link.base_currency)
    connection = ledger_connection(sandbox, link.ledger)
    with LedgerHand(connection) as hand:
        make_items(hand, [{"Code": ITEM, "Name": "A desk", "IsSold": True}, FREIGHT])
    return XeroBooks(connection)
