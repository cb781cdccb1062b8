"""The organisation's tables with the indexes that the rules need, and the settings as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.state import Index, Record, State, Table
from sandbox.xero.errors import Refused
from sandbox.xero.settings import setting

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
RATE = Decimal("0.000001")


def cents(value: Decimal) -> Decimal:
    """Rounded to two places, halves away from zero: the one rounding of amounts."""
    return value.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells an invoice from a credit note, a prepayment and an overpayment."""

    name: str  # Invoice
    key: str  # Invoices: endpoint, envelope and table
    number: str | None = None  # the field with the number
    prefix: str = ""
    sales: str = ""  # the type whose numbers are unique
    types: tuple[str, ...] = ()
    not_unique: str = ""
    payment_type: str = ""  # of a payment against the sales type

    @property
    def id(self) -> str:
        return f"{self.name}ID"

    @property
    def is_credit(self) -> bool:
        return self.name != "Invoice"


INVOICE = Kind(
    "Invoice",
    "Invoices",
    "InvoiceNumber",
    "INV-",
    "ACCREC",
    ("ACCREC", "ACCPAY"),
    "Invoice # must be unique.",
    "ACCRECPAYMENT",
)
CREDIT_NOTE = Kind(
    "CreditNote",
    "CreditNotes",
    "CreditNoteNumber",
    "CN-",
    "ACCRECCREDIT",
    ("ACCRECCREDIT", "ACCPAYCREDIT"),
    "Credit Note # must be unique.",
    "ARCREDITPAYMENT",
)
PREPAYMENT = Kind("Prepayment", "Prepayments", payment_type="ARPREPAYMENTPAYMENT")
OVERPAYMENT = Kind("Overpayment", "Overpayments", payment_type="AROVERPAYMENTPAYMENT")
KINDS = {kind.name: kind for kind in (INVOICE, CREDIT_NOTE, PREPAYMENT, OVERPAYMENT)}


class Books:
    """All records of the organisation. Look-ups only; rules are in the modules of their entity."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.user = ""  # who the call is of, while it is answered: stands in histories
        self.contacts = state.table("Contacts")
        self.contact_names = self.contacts.index(
            "active_name", lambda r: r["Name"].strip().lower() if r["ContactStatus"] == "ACTIVE" else None
        )
        self.contact_numbers = self.contacts.index("number", lambda r: r.get("ContactNumber") or None)
        self.items = state.table("Items")
        self.item_codes = self.items.index("Code")
        self.moved = state.table("StockMoves")  # by document; see inventory.py
        self.accounts = state.table("Accounts")
        self.account_codes = self.accounts.index("Code")
        self.tax_rates = state.table("TaxRates")
        self.payments = state.table("Payments")
        self.payments_of = self.payments.index("TargetID")
        self.allocations = state.table("Allocations")
        self.allocations_from = self.allocations.index("SourceID")
        self.allocations_to = self.allocations.index("InvoiceID")
        self.numbers = {kind.name: self._by_number(kind) for kind in (INVOICE, CREDIT_NOTE)}
        self.by_contact = {name: self.table(kind).index("ContactID") for name, kind in KINDS.items()}

    def _by_number(self, kind: Kind) -> Index:
        field = kind.number or ""
        return self.table(kind).index(
            "sales_number", lambda r: r.get(field) or None if r["Type"] == kind.sales else None
        )

    def table(self, kind: Kind) -> Table:
        return self.state.table(kind.key)

    def setting(self, name: str) -> Any:
        return setting(self.state, name)

    def now(self) -> datetime:
        """The sandbox's clock with Xero's precision, milliseconds."""
        now = self.state.clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def account(self, element: Record) -> Record | None:
        """The account that an element names by AccountID or Code."""
        if element.get("AccountID"):
            return self.accounts.get(str(element["AccountID"]).lower())
        return self.account_codes.first(str(element["Code"])) if element.get("Code") else None

    def check_lock(self, on: date, what: str = "document") -> None:
        """Raises Refused when the date is on or before a lock date."""
        for name, words in (("end_of_year_lock_date", "end of year"), ("period_lock_date", "period")):
            text = self.setting(name)
            if text and on <= (lock := date.fromisoformat(text)):
                raise Refused(
                    f"The {what} date cannot be before the {words} lock date, currently set at {lock:%d-%b-%Y}"
                )

    def rate(self, currency: str, given: Decimal | None) -> Decimal:
        """The rate of a document, foreign per base: the given one, else the day's. Raises Refused."""
        base = self.setting("base_currency")
        if currency not in self.setting("currencies"):
            raise Refused(f"Organisation is not subscribed to currency {currency}")
        if currency == base:
            return Decimal("1.000000")
        if given is not None:
            if given <= 0:
                raise Refused("The currency rate must be greater than zero.")
            return given.quantize(RATE, ROUND_HALF_UP)
        rates = self.setting("rates")
        if currency not in rates:
            raise Refused(f"No day rate is set for {currency} in this sandbox; set xero.rates or send CurrencyRate.")
        return Decimal(rates[currency]).quantize(RATE, ROUND_HALF_UP)

    def next_number(self, kind: Kind) -> str:
        """The next free number in the organisation's sequence. Call inside a transaction."""
        counters = self.state.table("counters")
        last: int = (counters.get(kind.name) or {"last": 0})["last"]
        while True:
            last += 1
            number = f"{kind.prefix}{last:04d}"
            if self.numbers[kind.name].first(number) is None:
                counters.put(kind.name, {"last": last})
                return number
