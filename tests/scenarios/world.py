"""Puts a scenario's beginning into CRM and ledger, and does what happens afterwards: through the vendors' own APIs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from tests.scenarios.format import (
    FOLDER,
    ClosedPeriod,
    CreditLimit,
    Given,
    HandInvoice,
    Order,
    PriceLine,
    Product,
    Return,
    Step,
    read_exact,
)
from tests.scenarios.records import (
    PRICE_LIST,
    deal_records,
    entry_key,
    item_fields,
    offer_records,
    order_records,
    present,
    record,
    write_price_list,
)
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors.registry import connect as connect_system
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.mapping.load import apply_overrides, load_system
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.model.money import to_minor
from tieout.model.settings import load_settings
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, returns
from tieout.scenarios.credit import releasing
from tieout.scenarios.crm_load import STANDARD_PRICE_BOOK, ConnectorCrm, CrmRecord, Ref, load
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services, Side
from tieout.store import aliases, credit, periods

LOAD_ORDER = (
    "Account", "Contact", "Product2", "PricebookEntry", "Opportunity", "OpportunityLineItem", "Quote", "QuoteLineItem",
    "Order", "OrderItem",
)  # fmt: skip
MANY_CALLS = 100_000  # a minute: the scenarios are about books, not about limits
SCENARIOS = {one.NAME: one for one in (quote_to_cash, credit_sync, product_sync, returns)}
LINE_FIELDS = {"quantity": "Quantity", "price": "UnitPrice", "discount": "Discount_Percent__c", "tax": "Tax_Code__c"}


class World:
    """CRM, ledger and Tieout of one scenario. `ids`: our key of a CRM record -> its Salesforce id."""

    def __init__(self, given: Given, sandbox: SandboxProcess, engine: Engine) -> None:
        self.given = given
        self.engine = engine
        self.doors = Doors(sandbox.url)
        self._crm = crm_connection(sandbox, "crm")
        self._ledger = ledger_connection(sandbox, "ledger")
        self.doors.settings("xero", limits={"minute": MANY_CALLS, "day": MANY_CALLS, "app_minute": MANY_CALLS})
        self._connector = SalesforceConnector(self._crm)
        self.crm = ConnectorCrm(self._connector)
        self.hand = LedgerHand(self._ledger)
        self.link = _link(given)
        if given.ledger.price_list:
            write_price_list(load_settings().home, given.ledger.price_list)
        self.ids: dict[str, str] = {}

    def close(self) -> None:
        """Gives the sockets back."""
        self.hand.close()
        self._connector.close()

    def begin(self) -> None:
        """Everything that is there before the first run."""
        self.doors.custom_fields()
        if self.given.credit_rule:
            self.doors.validation_rule("Order")
        products = [*map(Product.model_validate, read_exact(FOLDER / "catalogue.yaml")), *self.given.crm.products]
        self._fill_ledger(products)
        self._fill_crm(products)
        if self.given.credit_limits:
            self._approve_limits(None, self.given.credit_limits)
        for period in self.given.closed_periods:
            self._close_period(None, period)

    def run(self) -> dict[str, Any]:
        """One run of Tieout, as the command line does it."""
        numbers: dict[str, Any] = {}
        with services_of(self.link, self._crm, self._ledger, self.engine) as services:
            for name in self.given.runs:
                numbers = SCENARIOS[name].run(services)
        return numbers

    def happen(self, step: Step) -> None:
        """Does one step of given.yaml."""
        verb = step.verbs[0]
        getattr(self, f"_{verb}")(step, getattr(step, verb))

    # --- the beginning ------------------------------------------------------------------------------------------------

    def _fill_ledger(self, products: list[Product]) -> None:
        ledger = self.given.ledger
        currencies = ["GBP", "EUR", "USD", *ledger.rates]
        rates = {"EUR": "1.17", "USD": "1.27"} | {code: str(rate) for code, rate in ledger.rates.items()}
        self.doors.settings("xero", base_currency="GBP", currencies=list(dict.fromkeys(currencies)), rates=rates)
        kept = {item.code for item in ledger.items}
        items = [{"Code": one.code, "Name": one.name, "IsSold": True} for one in products if one.in_ledger]
        items.append({"Code": "FREIGHT", "Name": "Freight", "IsSold": True})
        self.hand.create("Items", [item for item in items if item["Code"] not in kept])
        self.doors.raw_items(item_fields(item) for item in ledger.items)
        for contact in ledger.contacts:
            address = {"AddressType": "POBOX", "AddressLine1": contact.street, "City": contact.city,
                       "PostalCode": contact.postcode, "Country": contact.country}  # fmt: skip
            fields = {"Name": contact.name, "TaxNumber": contact.tax_id, "Addresses": [present(address)]}
            self.hand.create("Contacts", [present(fields)])
        for invoice in ledger.invoices:
            self._raise_invoice(None, invoice)
        if ledger.locked_until:
            self._lock_until(None, ledger.locked_until)

    def _fill_crm(self, products: list[Product]) -> None:
        records: dict[str, list[CrmRecord]] = {name: [] for name in LOAD_ORDER}
        for one in self._crm_records(products):
            records[one.object].append(one)
        loaded = load(self.crm, records)
        assert not loaded.refused, loaded.refused
        self.ids.update(loaded.ids)
        for account in self.given.crm.accounts:
            if account.parent:
                parent = self.ids[f"account:{account.parent}"]
                self._update("Account", {"Id": self.ids[f"account:{account.name}"], "ParentId": parent})
        for order in self.given.crm.orders:
            self._finish_order(order)
        for account in self.given.crm.accounts:
            if account.broken:
                self.doors.raw("Account", [{"Id": self.ids[f"account:{account.name}"], **account.broken}])

    def _finish_order(self, order: Order) -> None:
        id_ = self.ids[f"order:{order.order}"]
        if order.broken_line:
            self.doors.raw("OrderItem", [{"Id": self.ids[f"order:{order.order}:1"], **order.broken_line}])
        if order.activated:
            self._update("Order", {"Id": id_, "Status": "Activated"})
        if order.broken:
            self.doors.raw("Order", [{"Id": id_, **order.broken}])

    def _crm_records(self, products: list[Product]) -> Iterator[CrmRecord]:
        for account in self.given.crm.accounts:
            key = f"account:{account.name}"
            fields = {
                "Name": account.name, "Tax_Id__c": account.tax_id, "Is_Person__c": account.person is not None,
                "BillingStreet": account.street, "BillingCity": account.city, "BillingPostalCode": account.postcode,
                "BillingCountry": account.country, "Phone": account.phone, "CurrencyIsoCode": account.currency,
            }  # fmt: skip
            yield record("Account", key, fields)
            if account.person:
                names = {"FirstName": account.person.first, "LastName": account.person.last, "AccountId": Ref(key)}
                yield record("Contact", f"contact:{account.name}", names)
        for product in products:
            key = f"product:{product.code}"
            yield record("Product2", key, {"Name": product.name, "ProductCode": product.code, "IsActive": True})
            for currency, price in product.prices.items():
                entry = {"Pricebook2Id": Ref(STANDARD_PRICE_BOOK), "Product2Id": Ref(key), "UnitPrice": price,
                         "CurrencyIsoCode": currency, "IsActive": True}  # fmt: skip
                yield CrmRecord("PricebookEntry", entry_key(product.code, currency), entry)
        for deal in self.given.crm.deals:
            yield from deal_records(deal)
        for order in self.given.crm.orders:
            yield from order_records(order)
        for offer in self.given.crm.offers:
            yield from offer_records(offer)

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _nothing(self, step: Step, _: bool) -> None:
        return None

    def _pay(self, step: Step, of: str) -> None:
        assert step.amount is not None
        self.hand.pay(self._open_invoice(of)["InvoiceID"], step.amount, step.date or self.given.today)

    def _credit(self, step: Step, of: str) -> None:
        assert step.amount is not None
        invoice, on = self._open_invoice(of), step.date or self.given.today
        note = self.hand.credit(
            invoice["Contact"]["ContactID"], step.amount, on, invoice["CurrencyCode"], "ZERORATEDOUTPUT"
        )
        self.hand.allocate(note["CreditNoteID"], invoice["InvoiceID"], step.amount, on)

    def _refund(self, step: Step, of: str) -> None:
        assert step.amount is not None
        invoices = {one["InvoiceID"] for one in self._invoices(of)}
        (note,) = (
            one for one in self.hand.all("CreditNotes")
            if any(part["Invoice"]["InvoiceID"] in invoices for part in one.get("Allocations") or ())
        )  # fmt: skip
        self.hand.pay_back(note["CreditNoteID"], step.amount, step.date or self.given.today)

    def _give_back(self, step: Step, of: str) -> None:
        assert step.amount is not None
        (invoice,), on = self._invoices(of), step.date or self.given.today
        note = self.hand.credit(
            invoice["Contact"]["ContactID"], step.amount, on, invoice["CurrencyCode"], "ZERORATEDOUTPUT",
            reference=invoice["InvoiceNumber"],
        )  # fmt: skip
        self.hand.pay_back(note["CreditNoteID"], step.amount, on)

    def _overpay(self, step: Step, name: str) -> None:
        assert step.amount is not None
        self.hand.receive("overpayment", self._contact(name), step.amount, step.date or self.given.today)

    def _prepay(self, step: Step, name: str) -> None:
        assert step.amount is not None
        self.hand.receive("prepayment", self._contact(name), step.amount, step.date or self.given.today)

    def _set_against(self, step: Step, of: str) -> None:
        assert step.amount is not None
        invoice, on = self._open_invoice(of), step.date or self.given.today
        what, key = next(
            (what, one[f"{what[:-1]}ID"]) for what in ("Overpayments", "Prepayments") for one in self.hand.all(what)
            if one["Contact"]["ContactID"] == invoice["Contact"]["ContactID"] and one["RemainingCredit"] >= step.amount
        )  # fmt: skip
        self.hand.set_against(what, key, invoice["InvoiceID"], step.amount, on)

    def _void(self, step: Step, of: str) -> None:
        self.hand.void(self._open_invoice(of)["InvoiceID"])

    def _raise_invoice(self, step: Step | None, invoice: HandInvoice) -> None:
        self.hand.invoice(
            invoice.number, {"Name": invoice.to}, invoice.net, invoice.date, invoice.currency, invoice.tax
        )

    def _change_order(self, step: Step, name: str) -> None:
        id_, changes = self.ids[f"order:{name}"], dict(step.set)
        activated = changes.pop("activated", True)
        self._update("Order", {"Id": id_, "Status": "Draft"})
        line = {LINE_FIELDS[key]: value for key, value in changes.items() if key in LINE_FIELDS}
        head = {key: value for key, value in changes.items() if key not in LINE_FIELDS}
        if line:
            self._update("OrderItem", {"Id": self.ids[f"order:{name}:{step.line}"], **line})
        self._update("Order", {"Id": id_, **head, "Status": "Activated" if activated else "Draft"})

    def _cancel_order(self, step: Step, name: str) -> None:
        self._update("Order", {"Id": self.ids[f"order:{name}"], "Status": "Cancelled"})

    def _change_account(self, step: Step, name: str) -> None:
        self._update("Account", {"Id": self.ids[f"account:{name}"], **step.set})

    def _change_contact(self, step: Step, name: str) -> None:
        self.hand.change("Contacts", {"ContactID": self._contact(name), **step.set})

    def _approve_limits(self, step: Step | None, limits: tuple[CreditLimit, ...]) -> None:
        rows = [
            credit.Limit(
                self.ids[f"account:{one.customer}"], one.valid_from, one.currency or None,
                None if one.limit is None else to_minor(one.limit, one.currency),
                self.ids[f"account:{one.shares_with}"] if one.shares_with else None,
            )
            for one in limits
        ]  # fmt: skip
        with self.engine.begin() as conn:
            change = credit.propose(conn, self.link.name, rows, "a clerk", "given.yaml")
            credit.decide(conn, change, "a controller", approved=True)

    def _release_order(self, step: Step, name: str) -> None:
        with self.engine.begin() as conn:
            releasing.release(conn, self.ids[f"order:{name}"], "a controller", "they pay on Friday", self.link.name)

    def _enter_returns(self, step: Step, given: tuple[Return, ...]) -> None:
        for one in given:
            self._enter_return(one)

    def _enter_return(self, given: Return) -> None:
        head = {
            "OrderId": self.ids[f"order:{given.order}"] if given.order else None, "Status": given.status,
            "CurrencyIsoCode": given.currency, "Restocking_Fee__c": given.fee,
        }  # fmt: skip
        (made,) = self.crm.insert("ReturnOrder", [present(head)])
        assert made.id is not None, made.error
        self.ids[f"return:{given.name}"] = made.id
        for number, line in enumerate(given.lines, start=1):
            of = f"order:{given.order_of_line or given.order}:{line.line}"
            fields = {
                "ReturnOrderId": made.id, "OrderItemId": self.ids.get(of), "QuantityReturned": line.quantity,
                "UnitPrice": line.price, "ReasonForReturn": line.reason, "ProcessingPlan": line.plan,
                "CurrencyIsoCode": given.currency,
                "Product2Id": None if of in self.ids else self.ids["product:CHAIR"],
            }  # fmt: skip
            (there,) = self.crm.insert("ReturnOrderLineItem", [present(fields)])
            assert there.id is not None, there.error
            self.ids[f"line-of-return:{given.name}:{number}"] = there.id

    def _change_return(self, step: Step, name: str) -> None:
        line = {"QuantityReturned", "ReasonForReturn", "ProcessingPlan", "UnitPrice"} & step.set.keys()
        key, object_name = f"return:{name}", "ReturnOrder"
        if line:
            key, object_name = f"line-of-return:{name}:{step.line}", "ReturnOrderLineItem"
        self._update(object_name, {"Id": self.ids[key], **step.set})

    def _activate_order(self, step: Step, name: str) -> None:
        record = {"Id": self.ids[f"order:{name}"], "Status": "Activated"}
        if step.refused is None:
            self._update("Order", record)
            return
        answer = self.crm.update("Order", [record])[0]
        assert answer.id is None and step.refused in answer.error, f"{name}: {answer.error or 'was activated'}"

    def _change_item(self, step: Step, code: str) -> None:
        item = next(one["ItemID"] for one in self.hand.all("Items") if one["Code"] == code)
        self.hand.change("Items", {"ItemID": item, "Code": code, **step.set})

    def _delete_item(self, step: Step, code: str) -> None:
        self.hand.delete("Items", next(one["ItemID"] for one in self.hand.all("Items") if one["Code"] == code))

    def _change_price_list(self, step: Step, lines: tuple[PriceLine, ...]) -> None:
        write_price_list(load_settings().home, lines)

    def _wait_hours(self, step: Step, hours: int) -> None:
        with self.engine.begin() as conn:
            conn.execute(text("update tieout.watermark set at = at - make_interval(hours => :n)"), {"n": hours})

    def _change_product(self, step: Step, code: str) -> None:
        self._update("Product2", {"Id": self.ids[f"product:{code}"], **step.set})

    def _approve_product(self, step: Step, found: str) -> None:
        assert step.to is not None
        with self.engine.begin() as conn:
            aliases.approve(conn, self.link.name, "product", found, step.to, by="a person")

    def _approve_account(self, step: Step, name: str) -> None:
        assert step.to is not None
        with self.engine.begin() as conn:
            found = self.ids[f"account:{name}"]
            aliases.approve(conn, self.link.name, "account", found, self._contact(step.to), by="a person")

    def _lock_until(self, step: Step | None, day: date) -> None:
        self.doors.settings("xero", period_lock_date=day.isoformat())

    def _close_period(self, step: Step | None, period: ClosedPeriod) -> None:
        with self.engine.begin() as conn:
            periods.begin_closing(conn, self.link.name, period, period.by)
            periods.close(conn, self.link.name, period.label, period.by, {})

    def _reopen_period(self, step: Step, label: str) -> None:
        with self.engine.begin() as conn:
            asked = periods.ask_to_reopen(conn, self.link.name, label, "a clerk", "an invoice was forgotten")
            periods.decide_reopening(conn, asked, "a controller", agreed=True)

    def _correct_rate(self, step: Step, rates: dict[str, Decimal]) -> None:
        self.doors.settings("xero", rates={code: str(rate) for code, rate in rates.items()})

    def _invoices(self, of: str) -> list[dict[str, Any]]:
        """Everything that an order or deal was billed by."""
        id_ = self.ids.get(f"order:{of}") or self.ids[f"deal:{of}"]
        return [invoice for invoice in self.hand.all("Invoices") if (invoice.get("Url") or "").endswith(id_)]

    def _open_invoice(self, of: str) -> dict[str, Any]:
        """The live invoice of an order or deal."""
        found = [invoice for invoice in self._invoices(of) if invoice["Status"] == "AUTHORISED"]
        assert len(found) == 1, f"{of} has {len(found)} authorised invoices"
        return found[0]

    def _contact(self, name: str) -> str:
        return next(str(one["ContactID"]) for one in self.hand.all("Contacts") if one["Name"] == name)

    def _update(self, object_name: str, record: dict[str, Any]) -> None:
        answer = self.crm.update(object_name, [record])[0]
        assert answer.id is not None, f"{object_name}: {answer.error}"


@contextmanager
def services_of(link: Link, crm: Connection, ledger: Connection, engine: Engine) -> Iterator[Services]:
    """Services of a link that is no file, on a database of the test's."""
    settings, sides = load_settings(), []
    for connection in (crm, ledger):
        mappings = load_system(settings.include / "mappings", connection.system)
        applied = {entity: apply_overrides(mapping, link) for entity, mapping in mappings.items()}
        sides.append(Side(connection.name, connection.system, connect_system(connection), applied, connection.host))
    try:
        yield Services(settings, engine, link, sides[0], sides[1], "scenario")
    finally:
        for side in sides:
            side.connector.close()


def _link(given: Given) -> Link:
    base = read_exact(FOLDER / "link.yaml")
    changes = dict(given.link)
    if given.ledger.price_list:
        changes["products"] = {"price_list": PRICE_LIST, **changes.get("products", {})}
    policies = base["policies"] | changes.pop("policies", {})
    return Link.model_validate({**base, **changes, "policies": policies})
