"""The two sides of a pair as its people use them: what is set up in each vendor, and what its own API says afterwards.

Plain calls of the vendor's API for what finance and sales do; of the product only the loader of CSV files is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import httpx

from tests.scenarios.world import MANY_CALLS
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.model.connection import Connection
from tieout.model.settings import PROJECT
from tieout.scenarios.crm_load import KEY_FIELD
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import FREIGHT, MAX_NAME, make_items
from tieout.scenarios.frames import chunks
from tieout.scenarios.ledger_hand import LedgerHand

REALM = "4620816365"  # the sandbox's US company


@dataclass(frozen=True, slots=True)
class Posted:
    """An invoice in force as the ledger's API has it. `net` before tax, in units of the currency."""

    id: str
    number: str
    customer: str
    reference: str
    day: str
    currency: str
    net: Decimal


class Crm(Protocol):
    """A CRM to sell in."""

    profile: str

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection: ...

    def prepare(self, sandbox: SandboxProcess, connection: Connection) -> None:
        """What an administrator sets up."""
        ...

    def send_back(self, connection: Connection, order: str, product: str, quantity: Decimal) -> None:
        """A customer sends a line of Northwind's order back, and somebody approves it."""
        ...

    def shown(self, connection: Connection) -> dict[str, str]:
        """Northwind's order -> the invoice's number that sales sees on it."""
        ...

    def owing(self, connection: Connection) -> dict[str, Decimal]:
        """Customer's name -> the open balance that sales sees."""
        ...


class Ledger(Protocol):
    """A ledger to bill in."""

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection: ...

    def prepare(self, sandbox: SandboxProcess, connection: Connection, items: Iterable[tuple[str, str]]) -> None:
        """Home currency USD, no limits of calls, and items of (code, name)."""
        ...

    def invoices(self, connection: Connection) -> list[Posted]:
        """All sales invoices in force."""
        ...

    def pay(self, connection: Connection, invoice: Posted, amount: Decimal, day: str) -> None:
        """A customer pays."""
        ...

    def credited(self, connection: Connection) -> list[tuple[str, Decimal, Decimal]]:
        """(customer, net, what is left of it) of all credit notes in force."""
        ...


class Salesforce:
    """Sales in Salesforce."""

    profile = "northwind"

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection:
        return crm_connection(sandbox, name)

    def prepare(self, sandbox: SandboxProcess, connection: Connection) -> None:
        Doors(sandbox.url).custom_fields()

    def send_back(self, connection: Connection, order: str, product: str, quantity: Decimal) -> None:
        with open_crm(connection) as crm:
            orders = {row[KEY_FIELD]: row["Id"] for row in crm.rows("Order", [KEY_FIELD])}
            lines = {row[KEY_FIELD]: row["Id"] for row in crm.rows("OrderItem", [KEY_FIELD])}
            (head,) = crm.insert("ReturnOrder", [
                {"OrderId": orders[f"northwind:order:{order}"], "Status": "Approved", "CurrencyIsoCode": "USD"}
            ])  # fmt: skip
            assert head.id, head.error
            (line,) = crm.insert("ReturnOrderLineItem", [
                {"ReturnOrderId": head.id, "OrderItemId": lines[f"northwind:line:{order}:{product}"],
                 "CurrencyIsoCode": "USD", "QuantityReturned": quantity, "ReasonForReturn": "Not Satisfied"}
            ])  # fmt: skip
            assert line.id, line.error

    def shown(self, connection: Connection) -> dict[str, str]:
        with open_crm(connection) as crm:
            rows = crm.rows("Order", ["OrderReferenceNumber", "Tieout_Invoice_Number__c"])
            return {row["OrderReferenceNumber"]: row["Tieout_Invoice_Number__c"] for row in rows}

    def owing(self, connection: Connection) -> dict[str, Decimal]:
        with open_crm(connection) as crm:
            return {row["Name"]: Decimal(row["Tieout_Open_Balance__c"] or 0)
                    for row in crm.rows("Account", ["Name", "Tieout_Open_Balance__c"])}  # fmt: skip


class HubSpot:
    """Sales in HubSpot."""

    profile = "northwind_hubspot"

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection:
        url = f"{sandbox.url}/hubspot"
        return Connection(name, "hubspot", url, "", "pat-sandbox", {"allowed_hosts": "127.0.0.1", "index_lag": 0})

    def prepare(self, sandbox: SandboxProcess, connection: Connection) -> None:
        many = {"ten_seconds": MANY_CALLS, "daily": MANY_CALLS, "search_per_second": MANY_CALLS}
        Doors(sandbox.url).settings("hubspot", limits=many)
        connector = HubSpotConnector(connection)
        try:
            connector.set_up(json.loads((PROJECT / "include" / "crm_setup" / "hubspot.json").read_text("utf-8")))
        finally:
            connector.close()

    def send_back(self, connection: Connection, order: str, product: str, quantity: Decimal) -> None:
        key = "tieout_source_key"
        with open_crm(connection) as crm:
            orders = {row[key]: row["id"] for row in crm.rows("orders", [key])}
            lines = {row[key]: row["id"] for row in crm.rows("line_items", [key])}
            (head,) = crm.insert("tickets", [
                {"subject": f"Return of {order}", "tieout_currency": "USD", "pipeline": "Returns", "stage": "Approved",
                 "associations.orders": orders[f"northwind:order:{order}"]}
            ])  # fmt: skip
            assert head.id, head.error
            (line,) = crm.insert("line_items", [
                {"name": f"NW-{product}", "quantity": quantity, "associations.tickets": head.id,
                 "tieout_order_line_id": lines[f"northwind:line:{order}:{product}"]}
            ])  # fmt: skip
            assert line.id, line.error

    def shown(self, connection: Connection) -> dict[str, str]:
        with open_crm(connection) as crm:
            rows = crm.rows("orders", ["hs_order_name", "tieout_invoice_number"])
            return {row["hs_order_name"]: row["tieout_invoice_number"] for row in rows}

    def owing(self, connection: Connection) -> dict[str, Decimal]:
        with open_crm(connection) as crm:
            return {row["name"]: Decimal(row["tieout_open_balance"] or 0)
                    for row in crm.rows("companies", ["name", "tieout_open_balance"])}  # fmt: skip


class Xero:
    """Books in Xero."""

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection:
        return ledger_connection(sandbox, name)

    def prepare(self, sandbox: SandboxProcess, connection: Connection, items: Iterable[tuple[str, str]]) -> None:
        many = {"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS}
        Doors(sandbox.url).settings("xero", base_currency="USD", limits=many)
        made = [{"Code": code, "Name": name[:MAX_NAME], "IsSold": True} for code, name in items]
        with LedgerHand(connection) as hand:
            make_items(hand, [*made, FREIGHT])

    def invoices(self, connection: Connection) -> list[Posted]:
        with LedgerHand(connection) as hand:
            return [
                Posted(
                    one["InvoiceID"], one["InvoiceNumber"], one["Contact"]["Name"], one.get("Reference") or "",
                    one["DateString"][:10], one["CurrencyCode"], one["SubTotal"],
                )
                for one in hand.all("Invoices") if one["Status"] not in ("VOIDED", "DELETED")
            ]  # fmt: skip

    def pay(self, connection: Connection, invoice: Posted, amount: Decimal, day: str) -> None:
        with LedgerHand(connection) as hand:
            hand.create("Payments", [
                {"Invoice": {"InvoiceID": invoice.id}, "Account": {"Code": "090"}, "Amount": amount, "Date": day}
            ])  # fmt: skip

    def credited(self, connection: Connection) -> list[tuple[str, Decimal, Decimal]]:
        with LedgerHand(connection) as hand:
            return [
                (one["Contact"]["Name"], one["SubTotal"], one["RemainingCredit"])
                for one in hand.all("CreditNotes") if one["Status"] not in ("VOIDED", "DELETED")
            ]  # fmt: skip


class QuickBooks:
    """Books in QuickBooks Online. Refresh tokens do not rotate here, so that finance and Tieout share the one there is;
    rotation has tests of its own (tests/connectors)."""

    def connection(self, sandbox: SandboxProcess, name: str) -> Connection:
        url = f"{sandbox.url}/quickbooks"
        return Connection(
            name, "quickbooks", url, "sandbox-client", "sandbox-secret",
            {"token_url": f"{url}/oauth2/v1/tokens/bearer", "allowed_hosts": "127.0.0.1", "realm_id": REALM,
             "refresh_token": "sandbox-refresh", "calls_per_minute": 0, "calls_per_second": 0},
        )  # fmt: skip

    def prepare(self, sandbox: SandboxProcess, connection: Connection, items: Iterable[tuple[str, str]]) -> None:
        many = dict.fromkeys(("minute", "second", "batch_minute", "concurrent"), MANY_CALLS)
        Doors(sandbox.url).settings("quickbooks", limits=many, rotate_every_seconds=86_400)
        with _Books(connection) as books:
            (income, *_) = books.query("Account", "where AccountType = 'Income'")
            made = [
                {"Name": f"{code} {name}"[:100].replace(":", " "), "Sku": code, "Type": "Service",
                 "IncomeAccountRef": {"value": income["Id"]}}
                for code, name in [*items, ("FREIGHT", "Freight")]
            ]  # fmt: skip
            books.create("Item", made)

    def invoices(self, connection: Connection) -> list[Posted]:
        with _Books(connection) as books:
            return [
                Posted(
                    one["Id"], one["DocNumber"], one["CustomerRef"]["name"],
                    one.get("CustomerMemo", {}).get("value", ""),
                    one["TxnDate"], one["CurrencyRef"]["value"],
                    Decimal(one["TotalAmt"]) - Decimal(one.get("TxnTaxDetail", {}).get("TotalTax", 0)),
                )
                for one in books.query("Invoice")
                if not str(one.get("PrivateNote", "")).startswith("Voided")
            ]  # fmt: skip

    def pay(self, connection: Connection, invoice: Posted, amount: Decimal, day: str) -> None:
        with _Books(connection) as books:
            (customer,) = books.query("Invoice", f"where Id = '{invoice.id}'")
            books.create("Payment", [
                {"CustomerRef": customer["CustomerRef"], "TotalAmt": amount, "TxnDate": day,
                 "Line": [{"Amount": amount, "LinkedTxn": [{"TxnId": invoice.id, "TxnType": "Invoice"}]}]}
            ])  # fmt: skip

    def credited(self, connection: Connection) -> list[tuple[str, Decimal, Decimal]]:
        with _Books(connection) as books:
            return [
                (one["CustomerRef"]["name"], Decimal(one["TotalAmt"]), Decimal(one["RemainingCredit"]))
                for one in books.query("CreditMemo")
            ]  # fmt: skip


class _Books:
    """A user of a QuickBooks company."""

    def __init__(self, connection: Connection) -> None:
        self._client = httpx.Client(timeout=60)
        grant = {"grant_type": "refresh_token", "refresh_token": connection.extra["refresh_token"]}
        answer = self._client.post(
            str(connection.extra["token_url"]), data=grant, auth=(connection.login, connection.password)
        )
        assert answer.status_code == 200, answer.text
        self._client.headers = httpx.Headers(
            {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/json",
             "Content-Type": "application/json"}
        )  # fmt: skip
        self._root = f"{connection.host}/v3/company/{connection.extra['realm_id']}"

    def __enter__(self) -> _Books:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, name: str, where: str = "") -> Iterator[Mapping[str, Any]]:
        start = 1
        while True:
            statement = f"select * from {name} {where} startposition {start} maxresults 1000"
            answer = self._client.get(f"{self._root}/query", params={"query": statement, "minorversion": "75"})
            assert answer.status_code == 200, answer.text
            found = exact_json.loads(answer.content)["QueryResponse"].get(name, [])
            yield from found
            if len(found) < 1000:
                return
            start += 1000

    def create(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        for some in chunks(records, 30):
            items = [{"bId": str(at), "operation": "create", name: one} for at, one in enumerate(some)]
            body = exact_json.dumps({"BatchItemRequest": items})
            answer = self._client.post(f"{self._root}/batch", content=body, params={"minorversion": "75"})
            assert answer.status_code == 200, answer.text
            for item in answer.json()["BatchItemResponse"]:
                assert "Fault" not in item, item

    def update(self, name: str, record: Mapping[str, Any]) -> None:
        params = {"operation": "update", "minorversion": "75"}
        answer = self._client.post(f"{self._root}/{name.lower()}", content=exact_json.dumps(record), params=params)
        assert answer.status_code == 200, answer.text


CRMS: Mapping[str, Crm] = {"salesforce": Salesforce(), "hubspot": HubSpot()}
LEDGERS: Mapping[str, Ledger] = {"xero": Xero(), "quickbooks": QuickBooks()}
