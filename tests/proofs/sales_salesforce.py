"""Sales at work in Salesforce: see sales.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tests.proofs.sales import Line, Order, People, Words, head_of, kind_of
from tieout.scenarios.crm_load import STANDARD_PRICE_BOOK
from tieout.scenarios.demo_doors import Doors


class InSalesforce(People):
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

    def account(self, key: str, **words: Any) -> None:
        fields = self._fields("account", {"name": key, **words})
        self._insert(f"account:{key}", "Account", {"CurrencyIsoCode": "USD", **fields})

    def order(self, order: Order) -> str:
        words = {"account": order.account, "day": order.day, "currency": order.currency, "rate": order.rate,
                 "freight": order.freight}  # fmt: skip
        said = self._try(f"order:{order.key}", "Order", {
            "Status": "Draft", "PoNumber": order.key, "Pricebook2Id": self.ids["book"], **self._fields("order", words),
        })  # fmt: skip
        for line in () if said else order.lines:
            self._line("OrderItem", "OrderId", f"order:{order.key}", line, order.currency)
        return said

    def activate(self, key: str) -> str:
        said = self._status(key, "Activated")
        if not said:
            self.active.add(f"order:{key}")
        return said

    def change(self, record: str, **words: Any) -> str:
        head, kind = head_of(record), kind_of(record)
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
        Doors(self.url).raw(self._object(record), [{"Id": self.ids[record], **self._fields(kind_of(record), words)}])

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
        names = [self.FIELDS[kind_of(record)][word] for word in words]
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
        kind = kind_of(record)
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
