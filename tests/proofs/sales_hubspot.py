"""Sales at work in HubSpot: see sales.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tests.proofs.sales import Line, Order, People, Words, kind_of


class InHubSpot(People):
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

    def account(self, key: str, **words: Any) -> None:
        fields = self._fields("account", {"name": key, **words})
        self._insert(f"account:{key}", "companies", {"tieout_currency": "USD", **fields})

    def order(self, order: Order) -> str:
        words = {"number": order.key, "account": order.account, "day": order.day, "currency": order.currency,
                 "rate": order.rate, "freight": order.freight}  # fmt: skip
        fields = self._fields("order", {word: value for word, value in words.items() if value is not None})
        said = self._try(f"order:{order.key}", "orders", {"tieout_po_number": order.key, "stage": "Open", **fields})
        for line in () if said else order.lines:
            self._line("orders", f"order:{order.key}", line)
        return said

    def activate(self, key: str) -> str:
        return self._update("orders", {"id": self.ids[f"order:{key}"], "stage": "Processed"})

    def change(self, record: str, **words: Any) -> str:
        fields = {"id": self.ids[record], **self._fields(kind_of(record), words)}
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
        names = [self.FIELDS[kind_of(record)][word] for word in words]
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
        return {"account": "companies", "order": "orders", "deal": "deals", "line": "line_items"}[kind_of(record)]

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
