"""Bad records as people make them: how each is spoilt, why it waits, how it is mended. Data, and no vendor's field.

A case is an order that is good but for one thing: one line of three chairs at 12.35 less 5 %, unless it says otherwise.
A CRM that refuses the bad value itself is shown to do so, in its own words; where an old record may hold it all the
same, it is put into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from tests.proofs.sales import Line, Words

#: The ledger's books are closed until this day.
CLOSED, DAY = date(2026, 1, 31), date(2026, 3, 10)
THREE_CHAIRS = (Line("CHAIR", Decimal(3), Decimal("12.35"), Decimal(5)),)
NET = Decimal("35.20")  # 3 x 12.35 = 37.05, less 5 % = 35.1975
LONG = "a long story " * 400


@dataclass(frozen=True, slots=True)
class Case:
    """An order with something wrong in it, and a customer of its own.

    Attributes:
        bad, good: what is said of `part` that makes it bad, and what mends it; nothing where somebody else mends it.
        reason: of its wait; a system's name -> another one. Empty: it is billed as it is.
        part: whose words these are: the order's, its line's or its account's.
        refused: CRM -> a part of what it answers to the bad words.
        old: an old record may hold it although the CRM refuses it.
        by_line: CRM -> what is saved of the line, where that mends the order.
        by_finance: what is missing in the ledger, until finance makes it.
        net: before tax, once it is mended.
    """

    key: str
    reason: str | Mapping[str, str]
    part: Literal["order", "line", "account"] = "order"
    bad: Words = field(default_factory=dict)
    good: Words = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    old: bool = True
    name: str | None = None
    lines: tuple[Line, ...] = THREE_CHAIRS
    currency: str = "USD"
    rate: Decimal | None = None
    by_line: Mapping[str, Words] = field(default_factory=dict)
    by_finance: Literal["", "item", "currency"] = ""
    net: Decimal = NET

    @property
    def customer(self) -> str:
        return self.name or f"Customer of {self.key}"

    @property
    def record(self) -> str:
        """What is spoilt, as tests/proofs/sales.py names it."""
        return {"order": f"order:{self.key}", "line": f"order:{self.key}:1", "account": f"account:{self.customer}"}[
            self.part
        ]

    def why(self, *systems: str) -> str:
        """The reason in a pair."""
        if isinstance(self.reason, str):
            return self.reason
        return next((self.reason[one] for one in systems if one in self.reason), self.reason[""])


def _line(key: str, reason: str, bad: Words, good: Words, **more: Any) -> Case:
    return Case(key, reason, "line", bad, good, **more)


#: What Salesforce says where something has to be there, and of what is its own to fill in.
OWN = {"salesforce": "INVALID_FIELD_FOR_INSERT_UPDATE"}
MISSING = {"salesforce": "REQUIRED_FIELD_MISSING"}
LINES = [
    _line("quantity-negative", "quantity_not_positive", {"quantity": Decimal(-3)}, {"quantity": Decimal(3)}),
    _line("quantity-zero", "quantity_not_positive", {"quantity": Decimal(0)}, {"quantity": Decimal(3)}),
    _line("quantity-missing", "quantity_missing", {"quantity": None}, {"quantity": Decimal(3)}, refused=MISSING),
    _line("price-missing", "price_missing", {"price": None}, {"price": Decimal("12.35")}),
    _line("price-negative", "price_negative", {"price": Decimal(-1)}, {"price": Decimal("12.35")}),
    _line("discount-beyond", "discount_out_of_range", {"discount": Decimal(150)}, {"discount": Decimal(5)}),
    _line("quantity-in-words", "", {"quantity": "three"}, {}, old=False,
          refused={"salesforce": "JSON_PARSER_ERROR", "hubspot": "three"}),
    _line("tax-unknown", "unknown_tax_code", {"tax": "luxury"}, {"tax": "zero"}),
    _line("text-too-long", "description_too_long", {"text": LONG}, {"text": "a chair"},
          refused={"salesforce": "STRING_TOO_LONG"}),
    _line("amount-beyond", "net_unlikely", {"price": Decimal("99999999999999")}, {"price": Decimal("12.35")},
          refused={"salesforce": "NUMBER_OUTSIDE_VALID_RANGE"}, old=False),
]  # fmt: skip
HEADS = [
    Case("day-missing", "date_missing", bad={"day": None}, good={"day": DAY}, refused=MISSING),
    Case("day-unlikely", "date_unlikely", bad={"day": date(2999, 1, 1)}, good={"day": DAY}),
    Case("day-in-closed", "period_locked", bad={"day": CLOSED}, good={"day": DAY}),
    Case("total-not-the-sum", "total_is_not_the_sum_of_lines", bad={"total": Decimal(1)},
         good={"total": Decimal("37.05")},
         refused=OWN, by_line={"salesforce": {"quantity": Decimal(3)}}),
    Case("freight-negative", "freight_negative", bad={"freight": Decimal(-1)}, good={"freight": Decimal(0)}),
    Case("rate-missing", "exchange_rate_missing", currency="EUR", rate=Decimal("0.9"), bad={"rate": None},
         good={"rate": Decimal("0.9")}),
    Case("rate-zero", "exchange_rate_not_positive", currency="EUR", rate=Decimal("0.9"), bad={"rate": Decimal(0)},
         good={"rate": Decimal("0.9")}),
    Case("currency-nowhere", "no_such_currency", bad={"currency": "XXQ"}, good={"currency": "USD"},
         refused={"salesforce": "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"}, old=False),
    Case("currency-no-books", "unknown_currency", currency="CHF", rate=Decimal("0.8"), by_finance="currency"),
    Case("number-doubled", "order_number_taken", bad={"number": "DOUBLE"}, refused=OWN, old=False),
    Case("number-doubled-too", "order_number_taken", bad={"number": "DOUBLE"}, good={"number": "SINGLE"},
         refused=OWN, old=False),
    Case("number-too-long", {"quickbooks": "text_too_long", "": ""}, bad={"number": "N" * 40}, good={"number": "N-40"},
         refused=OWN, old=False),
    Case("item-unknown", "unknown_product", lines=(Line("GHOST", Decimal(3), Decimal("12.35"), Decimal(5)),),
         by_finance="item"),
]  # fmt: skip
ACCOUNTS = [
    Case("name-missing", "customer_quarantined", "account", {"name": None}, {"name": "Customer of name-missing"},
         refused=MISSING),
    Case("name-too-long", "customer_quarantined", "account", {"name": "Long " * 60}, {"name": "Long Ltd"},
         refused={"salesforce": "STRING_TOO_LONG"}),
    Case("tax-id-shared", "duplicate_tax_id", "account", {"tax_id": "GB980780684"}),
    Case("tax-id-shared-too", "duplicate_tax_id", "account", {"tax_id": "GB980780684"}, {"tax_id": None}),
]  # fmt: skip
#: Names that are unusual and good.
NAMES = ("Bäckerei 🥐 Müller", "شركة النور", "株式会社 青い鳥", "=SUM(A1:A9)", "Smith: Sons", 'O\'Brien "& Co" <x>')
GOOD = [Case(f"good-{number}", "", name=name) for number, name in enumerate(NAMES, start=1)]
CASES = [*LINES, *HEADS, *ACCOUNTS, *GOOD]
