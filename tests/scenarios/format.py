"""The words of given.yaml and expect.yaml, as frozen data. docs in README.md of this folder; written for accountants.

Amounts and quantities are exact: a number with a decimal point becomes a Decimal, never a float.
"""

from __future__ import annotations

from datetime import date as Day
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Person(_Part):
    first: str
    last: str


class Account(_Part):
    """A customer in the CRM. `person` makes it a private customer."""

    name: str
    tax_id: str | None = None
    person: Person | None = None
    street: str | None = None
    city: str | None = None
    postcode: str | None = None
    country: str | None = None
    phone: str | None = None
    #: The account above it in the CRM.
    parent: str | None = None
    currency: str = "GBP"
    broken: dict[str, Any] = {}


class Product(_Part):
    """A product in the CRM, and an item of the same code in the ledger unless `in_ledger` is false."""

    code: str
    name: str
    prices: dict[str, Decimal]
    in_ledger: bool = True


class Line(_Part):
    """`price` before discount; `discount` in percent; `tax` is the CRM's tax code."""

    product: str
    quantity: Decimal
    price: Decimal
    discount: Decimal | None = None
    tax: str | None = "standard"


class Quote(_Part):
    """The offer that the customer accepted: what it says is billed."""

    status: str = "Accepted"
    freight: Decimal | None = None
    lines: tuple[Line, ...]


class Order(_Part):
    """`broken` are fields (`order`, or of line 1) as an old record has them, past what Salesforce lets in today."""

    order: str
    account: str | None
    date: Day
    currency: str = "GBP"
    rate: Decimal | None = None
    freight: Decimal | None = None
    expected_tax: Decimal | None = None
    activated: bool = True
    quote: Quote | None = None
    lines: tuple[Line, ...] = ()
    broken: dict[str, Any] = {}
    broken_line: dict[str, Any] = {}


class Deal(_Part):
    """An opportunity; `product` is text, as people write it."""

    deal: str
    account: str | None
    date: Day
    currency: str = "GBP"
    amount: Decimal | None = None
    stage: str = "Closed Won"
    product: str | None = None
    lines: tuple[Line, ...] = ()


class Offer(_Part):
    """A quote that the customer has not answered yet."""

    offer: str
    account: str
    currency: str = "GBP"
    lines: tuple[Line, ...]


class PriceLine(_Part):
    """A line of finance's price list; a day that is left out is no bound. `from_quantity` makes it a quantity break."""

    code: str
    currency: str
    price: Decimal
    valid_from: Day | None = None
    valid_to: Day | None = None
    from_quantity: Decimal | None = None


class LedgerContact(_Part):
    name: str
    tax_id: str | None = None
    street: str | None = None
    city: str | None = None
    postcode: str | None = None
    country: str | None = None


class LedgerItem(_Part):
    """An item as finance keeps it; one of a product's code is that product's."""

    code: str
    name: str
    price: Decimal | None = None
    stock: Decimal | None = None
    sold: bool = True


class HandInvoice(_Part):
    """An invoice that finance raises itself, of one line."""

    number: str
    to: str
    date: Day
    currency: str = "GBP"
    net: Decimal
    tax: str = "OUTPUT2"


class CreditLimit(_Part):
    """What finance approved before the first run; `shares_with` names the customer whose limit it shares."""

    customer: str
    limit: Decimal | None = None
    currency: str = ""
    valid_from: Day = Day(2020, 1, 1)
    shares_with: str | None = None


class ReturnLine(_Part):
    """`line` of the order, from 1; without it, the line names none. `plan` is Salesforce's word."""

    line: int | None = 1
    quantity: Decimal
    price: Decimal | None = None
    reason: str | None = None
    plan: str | None = None


class Return(_Part):
    """Goods that come back. `fee`: what we keep for taking them back. `order_of_line`: where that is another one."""

    name: str = Field(alias="return")
    order: str | None
    status: str = "Approved"
    currency: str = "GBP"
    fee: Decimal | None = None
    order_of_line: str | None = None
    lines: tuple[ReturnLine, ...] = ()


class ClosedPeriod(_Part):
    """A fiscal period of the link that is closed in Tieout; the ledger itself is not locked by it."""

    label: str
    first: Day
    last: Day
    by: str = "a controller"


class Crm(_Part):
    accounts: tuple[Account, ...] = ()
    products: tuple[Product, ...] = ()
    orders: tuple[Order, ...] = ()
    deals: tuple[Deal, ...] = ()
    offers: tuple[Offer, ...] = ()


class Ledger(_Part):
    locked_until: Day | None = None
    contacts: tuple[LedgerContact, ...] = ()
    invoices: tuple[HandInvoice, ...] = ()
    items: tuple[LedgerItem, ...] = ()
    #: Finance's file of prices in further currencies; the link names it when there is one.
    price_list: tuple[PriceLine, ...] = ()
    #: How many units of the foreign currency one GBP is, on the day.
    rates: dict[str, Decimal] = {}


class Step(_Part):
    """One thing that happens after the first run. Tieout runs again after each one. Exactly one verb."""

    pay: str | None = None
    credit: str | None = None  # finance raises a credit note against the invoice and allocates it
    refund: str | None = None  # finance pays back what is open of the credit note that Tieout raised
    give_back: str | None = None  # finance raises a credit note that names the paid invoice, and pays it back
    overpay: str | None = None  # the customer pays more than is due: `amount` is too much
    prepay: str | None = None  # the customer pays before there is an invoice
    set_against: str | None = None  # finance sets what the customer paid too much or too early against the invoice
    void: str | None = None
    raise_invoice: HandInvoice | None = None
    change_order: str | None = None
    cancel_order: str | None = None
    change_account: str | None = None
    change_contact: str | None = None
    change_item: str | None = None  # finance changes an item; `set` are Xero's fields
    delete_item: str | None = None  # finance deletes it, which Xero tells nobody
    change_product: str | None = None  # sales changes a product; `set` are Salesforce's fields
    change_price_list: tuple[PriceLine, ...] | None = None  # the whole new one
    wait_hours: int | None = None
    approve_product: str | None = None
    approve_account: str | None = None
    lock_until: Day | None = None
    close_period: ClosedPeriod | None = None
    reopen_period: str | None = None  # its label; one person asks, another one agrees
    correct_rate: dict[str, Decimal] | None = None  # finance corrects the ledger's rates
    approve_limits: tuple[CreditLimit, ...] | None = None
    release_order: str | None = None  # a person lets the held order go
    #: Sales activates it; `refused`: part of what Salesforce answers instead of doing it.
    activate_order: str | None = None
    enter_returns: tuple[Return, ...] | None = None  # sales enters them
    change_return: str | None = None  # `set` are Salesforce's fields, of `line` where they are a line's
    nothing: bool | None = None
    # what belongs to the verb
    amount: Decimal | None = None
    date: Day | None = None
    line: int = 1
    to: str | None = None
    set: dict[str, Any] = {}
    refused: str | None = None

    @model_validator(mode="after")
    def _one_verb(self) -> Step:
        if len(self.verbs) != 1:
            raise ValueError(f"a step has exactly one verb; found {', '.join(self.verbs) or 'none'}")
        return self

    @property
    def verbs(self) -> tuple[str, ...]:
        extras = {"amount", "date", "line", "to", "set", "refused"}
        return tuple(name for name in type(self).model_fields if name not in extras and getattr(self, name) is not None)


class Given(_Part):
    """What is there before the first run, and what happens afterwards. `link` overrides parts of link.yaml."""

    story: str
    today: Day
    #: The scenarios that Tieout runs, in order, at the beginning and after each step.
    runs: tuple[str, ...] = ("quote_to_cash",)
    link: dict[str, Any] = {}
    credit_limits: tuple[CreditLimit, ...] = ()
    #: Closed before the first run.
    closed_periods: tuple[ClosedPeriod, ...] = ()
    #: The administrator deployed the validation rule that blocks orders beyond the credit.
    credit_rule: bool = False
    crm: Crm = Crm()
    ledger: Ledger = Ledger()
    steps: tuple[Step, ...] = ()


class ExpectedLine(_Part):
    product: str | None = None
    quantity: Decimal | None = None
    net: Decimal
    tax_type: str | None = None


class ExpectedInvoice(_Part):
    """One document in the ledger at the end. Only what is named is compared; the number of documents always is."""

    of: str
    kind: Literal["invoice", "credit note"] = "invoice"
    status: str
    to: str | None = None
    number: str | None = None
    date: Day | None = None
    currency: str | None = None
    rate: Decimal | None = None
    reference: str | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    due: Decimal | None = None
    #: What was paid back of a credit note.
    refunded: Decimal | None = None
    lines: tuple[ExpectedLine, ...] = ()


class Held(_Part):
    """`outcome` is held or quarantined; `reason` is the stable code."""

    of: str
    reason: str
    outcome: Literal["held", "quarantined"] = "held"


class CrmRecord(_Part):
    """What sales sees on the order, deal, return or account at the end (field: value)."""

    of: str
    shows: dict[str, Any]


class HandInCrm(_Part):
    """An invoice by hand as the CRM lists it."""

    number: str
    account: str
    status: str | None = None
    total: Decimal | None = None
    due: Decimal | None = None


class ExpectedContact(_Part):
    """A customer of the ledger at the end (Xero's field: value)."""

    name: str
    shows: dict[str, Any] = Field(default_factory=dict)


class ExpectedProduct(_Part):
    """A product of the CRM at the end (Salesforce's field: value), with all its active prices by currency."""

    code: str
    shows: dict[str, Any] = Field(default_factory=dict)
    prices: dict[str, Decimal] | None = None


class PutBack(_Part):
    """A field of finance that sales had changed, as the audit trail tells it; `was` is what sales had written."""

    product: str
    field: str
    was: Any = None
    now: Any = None


class Warned(_Part):
    """A product of the CRM, or a code of the price list, with an open dead letter that stops nothing."""

    product: str
    reason: str


class Expect(_Part):
    """The end. `documents`, `held` are complete lists: one more or one less fails; `put_back` and `warned` are where
    they are there. `contacts` counts when it is set."""

    documents: tuple[ExpectedInvoice, ...] = ()
    held: tuple[Held, ...] = ()
    crm: tuple[CrmRecord, ...] = ()
    ledger_invoices_in_crm: tuple[HandInCrm, ...] = ()
    contacts: tuple[ExpectedContact, ...] = ()
    products: tuple[ExpectedProduct, ...] = ()
    put_back: tuple[PutBack, ...] | None = None
    warned: tuple[Warned, ...] | None = None
    contact_count: int | None = None


class _Exact(yaml.SafeLoader):
    """YAML whose numbers with a point are Decimals."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)).replace("_", ""))


_Exact.add_constructor("tag:yaml.org,2002:float", _decimal)


def read_exact(path: Path) -> Any:
    """The content of a YAML file, amounts exact."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Exact)


def scenario_names() -> list[str]:
    """Names of the scenario folders, in order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/given.yaml"))


def load_scenario(name: str) -> tuple[Given, Expect]:
    """Both files of one scenario. Raises pydantic.ValidationError with the place of what is wrong."""
    folder = FOLDER / name
    return (
        Given.model_validate(read_exact(folder / "given.yaml")),
        Expect.model_validate(read_exact(folder / "expect.yaml")),
    )
