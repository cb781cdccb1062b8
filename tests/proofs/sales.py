"""Sales at work in a CRM, record by record and in no vendor's words: enters orders, changes and activates them.

What an old record holds, which the vendor's API refuses today, goes in by the sandbox's own door (`old`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from tieout.model.connection import Connection
from tieout.model.errors import VendorFault
from tieout.scenarios.crm_load import STANDARD_PRICE_BOOK
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.demo_doors import Doors

#: What may be said of a record; what a CRM does not have is not in its table below.
Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """`price` before discount, `discount` in percent, `tax` the CRM's tax code."""

    product: str
    quantity: Decimal
    price: Decimal
    discount: Decimal | None = None
    tax: str = "zero"


@dataclass(frozen=True, slots=True)
class Order:
    """An order that nobody has activated. `key` is its number where sales gives one, and what the customer calls it."""

    key: str
    account: str | None
    day: date
    lines: tuple[Line, ...]
    currency: str = "USD"
    rate: Decimal | None = None
    freight: Decimal | None = None


class Sales(Protocol):
    """The people of a CRM. A record is named by `account:NAME`, `order:KEY` or `order:KEY:LINE`, from 1.

    Attributes:
        ids: the record's name -> its id.
    """

    ids: dict[str, str]

    def sell(self, products: Mapping[str, str], currencies: Sequence[str]) -> None:
        """Products of (code -> name), with a price in each currency."""
        ...

    def account(self, name: str, **words: Any) -> None: ...

    def order(self, order: Order) -> None: ...

    def activate(self, key: str) -> str:
        """Empty, or why the CRM refuses it."""
        ...

    def change(self, record: str, **words: Any) -> str:
        """Empty, or why the CRM refuses it. An activated order is activated again afterwards."""
        ...

    def old(self, record: str, **words: Any) -> None:
        """Past every rule of today."""
        ...

    def add_line(self, key: str, line: Line) -> None: ...

    def deal(
        self,
        key: str,
        account: str | None,
        day: date,
        *,
        amount: Decimal | None = None,
        product: str | None = None,
        lines: Sequence[Line] = (),
        currency: str = "USD",
    ) -> None:
        """A deal, open; named `deal:KEY`, its lines `deal:KEY:1` and so on."""
        ...

    def win(self, key: str) -> str: ...

    def lose(self, key: str) -> str: ...

    def shown(self, record: str, *words: str) -> Words:
        """What the CRM shows of an order or a deal."""
        ...


@dataclass
class _People:
    connection: Connection
    url: str
    ids: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self.crm = self._open.enter_context(open_crm(self.connection))

    def close(self) -> None:
        """Gives the sockets back."""
        self._open.close()

    def _update(self, name: str, fields: Mapping[str, Any]) -> str:
        """Empty, or why the CRM refuses it: the record, or what was sent as a whole."""
        try:
            (answer,) = self.crm.update(name, [fields])
        except VendorFault as fault:
            return str(fault)
        return "" if answer.id else answer.error or "refused without a word"

    def _insert(self, record: str, name: str, fields: Mapping[str, Any]) -> None:
        (made,) = self.crm.insert(name, [{key: value for key, value in fields.items() if value is not None}])
        assert made.id, f"{record}: {made.error}"
        self.ids[record] = made.id


def _kind(record: str) -> str:
    """account, order or deal; line of either."""
    kind, _, rest = record.partition(":")
    return "line" if kind != "account" and ":" in rest else kind


def _head(record: str) -> str:
    return ":".join(record.split(":")[:2])


class SalesforceSales(_People):
    """An order is a draft while it is changed; its number, total and products are Salesforce's own."""

    FIELDS: Mapping[str, Mapping[str, str]] = {
        "account": {"name": "Name", "city": "BillingCity", "postcode": "BillingPostalCode", "tax_id": "Tax_Id__c",
                    "currency": "CurrencyIsoCode"},
        "order": {"number": "OrderNumber", "account": "AccountId", "day": "EffectiveDate", "rate": "Exchange_Rate__c",
                  "currency": "CurrencyIsoCode", "freight": "Freight__c", "total": "TotalAmount",
                  "invoice": "Tieout_Invoice_Number__c", "due": "Tieout_Amount_Due__c", "message": "Tieout_Message__c"},
        "deal": {"account": "AccountId", "day": "CloseDate", "currency": "CurrencyIsoCode", "amount": "Amount",
                 "product": "Product_Code__c", "freight": "Freight__c",
                 "invoice": "Tieout_Invoice_Number__c", "due": "Tieout_Amount_Due__c", "message": "Tieout_Message__c"},
        "line": {"quantity": "Quantity", "price": "UnitPrice", "discount": "Discount_Percent__c",
                 "tax": "Tax_Code__c", "text": "Description"},
    }  # fmt: skip

    def sell(self, products: Mapping[str, str], currencies: Sequence[str]) -> None:
        book = self.crm.standing()[STANDARD_PRICE_BOOK]
        self.ids["book"] = book
        for code, name in products.items():
            self._insert(f"product:{code}", "Product2", {"Name": name, "ProductCode": code, "IsActive": True})
            for currency in currencies:
                self._insert(f"price:{code}:{currency}", "PricebookEntry", {
                    "Pricebook2Id": book, "Product2Id": self.ids[f"product:{code}"], "UnitPrice": Decimal(1),
                    "CurrencyIsoCode": currency, "IsActive": True,
                })  # fmt: skip

    def account(self, name: str, **words: Any) -> None:
        self._insert(
            f"account:{name}", "Account", {"CurrencyIsoCode": "USD", **self._fields("account", {"name": name, **words})}
        )

    def order(self, order: Order) -> None:
        words = {"account": order.account, "day": order.day, "currency": order.currency, "rate": order.rate,
                 "freight": order.freight}  # fmt: skip
        self._insert(f"order:{order.key}", "Order", {
            "Status": "Draft", "PoNumber": order.key, "Pricebook2Id": self.ids["book"], **self._fields("order", words),
        })  # fmt: skip
        for line in order.lines:
            self._line("OrderItem", "OrderId", f"order:{order.key}", line, order.currency)

    def activate(self, key: str) -> str:
        said = self._status(key, "Activated")
        if not said:
            self.active.add(f"order:{key}")
        return said

    def change(self, record: str, **words: Any) -> str:
        head, kind = _head(record), _kind(record)
        fields = {"Id": self.ids[record], **self._fields(kind, words)}
        if head not in self.active:
            return self._update(self._object(record), fields)
        key = head.partition(":")[2]
        if record == head:
            return self._update("Order", {**fields, "Status": "Draft"}) or self._status(key, "Activated")
        return (
            self._status(key, "Draft") or self._update(self._object(record), fields) or self._status(key, "Activated")
        )

    def old(self, record: str, **words: Any) -> None:
        Doors(self.url).raw(self._object(record), [{"Id": self.ids[record], **self._fields(_kind(record), words)}])

    def add_line(self, key: str, line: Line) -> None:
        self._line("OrderItem", "OrderId", f"order:{key}", line, "USD")

    def deal(
        self,
        key: str,
        account: str | None,
        day: date,
        *,
        amount: Decimal | None = None,
        product: str | None = None,
        lines: Sequence[Line] = (),
        currency: str = "USD",
    ) -> None:
        words = {"account": account, "day": day, "currency": currency, "amount": amount, "product": product}
        self._insert(f"deal:{key}", "Opportunity", {
            "Name": key, "StageName": "Prospecting", "Pricebook2Id": self.ids["book"] if lines else None,
            **self._fields("deal", words),
        })  # fmt: skip
        for line in lines:
            self._line("OpportunityLineItem", "OpportunityId", f"deal:{key}", line, currency)

    def win(self, key: str) -> str:
        return self._stage(key, "Closed Won")

    def lose(self, key: str) -> str:
        return self._stage(key, "Closed Lost")

    def shown(self, record: str, *words: str) -> Words:
        names = [self.FIELDS[_kind(record)][word] for word in words]
        row = next(row for row in self.crm.rows(self._object(record), names) if row["Id"] == self.ids[record])
        return {word: row[name] for word, name in zip(words, names, strict=True)}

    def _status(self, key: str, status: str) -> str:
        return self._update("Order", {"Id": self.ids[f"order:{key}"], "Status": status})

    def _stage(self, key: str, stage: str) -> str:
        return self._update("Opportunity", {"Id": self.ids[f"deal:{key}"], "StageName": stage})

    def _line(self, name: str, parent: str, head: str, line: Line, currency: str) -> None:
        number = sum(1 for one in self.ids if one.startswith(f"{head}:")) + 1
        discount = "Discount_Percent__c" if name == "OrderItem" else "Discount"
        self._insert(f"{head}:{number}", name, {
            parent: self.ids[head], "PricebookEntryId": self.ids[f"price:{line.product}:{currency}"],
            "Quantity": line.quantity, "UnitPrice": line.price, discount: line.discount, "Tax_Code__c": line.tax,
        })  # fmt: skip

    def _object(self, record: str) -> str:
        kind = _kind(record)
        if kind == "line":
            return "OrderItem" if record.startswith("order:") else "OpportunityLineItem"
        return {"account": "Account", "order": "Order", "deal": "Opportunity"}[kind]

    def _fields(self, kind: str, words: Words) -> dict[str, Any]:
        known = self.FIELDS[kind]
        return {known[word]: self._value(word, value) for word, value in words.items()}

    def _value(self, word: str, value: Any) -> Any:
        if word == "account" and value is not None:
            return self.ids.get(f"account:{value}", value)
        return value.isoformat() if isinstance(value, date) else value


class HubSpotSales(_People):
    """Nothing is locked: an order is changed as it stands. Its number and its total are whatever was entered."""

    FIELDS: Mapping[str, Mapping[str, str]] = {
        "account": {"name": "name", "city": "city", "postcode": "zip", "tax_id": "tieout_tax_id",
                    "currency": "tieout_currency"},
        "order": {"number": "hs_order_name", "account": "associations.companies", "day": "tieout_order_date",
                  "rate": "tieout_exchange_rate", "currency": "hs_currency_code", "freight": "hs_shipping_cost",
                  "total": "hs_subtotal_price",
                  "invoice": "tieout_invoice_number", "due": "tieout_amount_due", "message": "tieout_message"},
        "deal": {"account": "associations.companies", "day": "closedate", "currency": "deal_currency_code",
                 "amount": "amount", "product": "tieout_product_code", "freight": "tieout_freight",
                 "invoice": "tieout_invoice_number", "due": "tieout_amount_due", "message": "tieout_message"},
        "line": {"quantity": "quantity", "price": "price", "discount": "hs_discount_percentage",
                 "amount_off": "discount", "tax": "tieout_tax_code", "text": "description"},
    }  # fmt: skip

    def sell(self, products: Mapping[str, str], currencies: Sequence[str]) -> None:
        for code, name in products.items():
            self._insert(f"product:{code}", "products", {"name": name, "hs_sku": code, "price": Decimal(1)})

    def account(self, name: str, **words: Any) -> None:
        self._insert(
            f"account:{name}",
            "companies",
            {"tieout_currency": "USD", **self._fields("account", {"name": name, **words})},
        )

    def order(self, order: Order) -> None:
        words = {"number": order.key, "account": order.account, "day": order.day, "currency": order.currency,
                 "rate": order.rate, "freight": order.freight}  # fmt: skip
        fields = self._fields("order", {word: value for word, value in words.items() if value is not None})
        self._insert(f"order:{order.key}", "orders", {"tieout_po_number": order.key, "stage": "Open", **fields})
        for line in order.lines:
            self._line("orders", f"order:{order.key}", line)

    def activate(self, key: str) -> str:
        return self._update("orders", {"id": self.ids[f"order:{key}"], "stage": "Processed"})

    def change(self, record: str, **words: Any) -> str:
        fields = {"id": self.ids[record], **self._fields(_kind(record), words)}
        return self._update(self._object(record), fields)

    def old(self, record: str, **words: Any) -> None:
        raise AssertionError(f"{record}: HubSpot has no door for what it refuses ({', '.join(words)})")

    def add_line(self, key: str, line: Line) -> None:
        self._line("orders", f"order:{key}", line)

    def deal(
        self,
        key: str,
        account: str | None,
        day: date,
        *,
        amount: Decimal | None = None,
        product: str | None = None,
        lines: Sequence[Line] = (),
        currency: str = "USD",
    ) -> None:
        words = {"account": account, "day": day, "currency": currency, "amount": amount, "product": product}
        fields = self._fields("deal", {word: value for word, value in words.items() if value is not None})
        self._insert(f"deal:{key}", "deals", {"dealname": key, "stage": "Qualified To Buy", **fields})
        for line in lines:
            self._line("deals", f"deal:{key}", line)

    def win(self, key: str) -> str:
        return self._stage(key, "Closed Won")

    def lose(self, key: str) -> str:
        return self._stage(key, "Closed Lost")

    def shown(self, record: str, *words: str) -> Words:
        names = [self.FIELDS[_kind(record)][word] for word in words]
        row = next(row for row in self.crm.rows(self._object(record), names) if row["id"] == self.ids[record])
        return {word: row[name] for word, name in zip(words, names, strict=True)}

    def _stage(self, key: str, stage: str) -> str:
        return self._update("deals", {"id": self.ids[f"deal:{key}"], "stage": stage})

    def _line(self, to: str, head: str, line: Line) -> None:
        number = sum(1 for one in self.ids if one.startswith(f"{head}:")) + 1
        self._insert(f"{head}:{number}", "line_items", {
            f"associations.{to}": self.ids[head], "hs_product_id": self.ids.get(f"product:{line.product}"),
            "hs_sku": line.product, "name": line.product, "quantity": line.quantity, "price": line.price,
            "hs_discount_percentage": line.discount, "tieout_tax_code": line.tax,
        })  # fmt: skip

    def _object(self, record: str) -> str:
        return {"account": "companies", "order": "orders", "deal": "deals", "line": "line_items"}[_kind(record)]

    def _fields(self, kind: str, words: Words) -> dict[str, Any]:
        known = self.FIELDS[kind]
        return {known[word]: self._value(kind, word, value) for word, value in words.items()}

    def _value(self, kind: str, word: str, value: Any) -> Any:
        if word == "account" and value is not None:
            return self.ids.get(f"account:{value}", value)
        if isinstance(value, date):
            # A deal's day is the moment at which it began for whoever chose it; these people sit in New York.
            return f"{value.isoformat()}T05:00:00.000Z" if kind == "deal" else value.isoformat()
        return value


SALES: Mapping[str, type[SalesforceSales] | type[HubSpotSales]] = {
    "salesforce": SalesforceSales,
    "hubspot": HubSpotSales,
}
