"""One CRM joined to one ledger for one legal entity, as include/links/*.yaml says it. Loaded by mapping/load.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tieout.model.calendar import DEFAULT as CALENDAR_MONTHS


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Schedule(_Part):
    """When the link's DAGs run: cron in the link's time zone; None means by hand only."""

    quote_to_cash: str | None = None
    product_sync: str | None = None
    credit_sync: str | None = None
    returns: str | None = None
    reconciliation: str | None = None
    #: How often it is looked whether webhooks came; each time that they did, quote_to_cash runs.
    webhooks: str | None = None


class SplitPart(_Part):
    """One part of a deal that has no lines: `percent` of the total, booked on `product_code`."""

    product_code: str
    percent: Decimal
    description: str = ""


class Split(_Part):
    """How a deal without lines is billed.

    `one_line`: on `product_code`, or on the deal's own product where that is None. `percentages`: by `parts`, which sum
    to 100 exactly. `schedule`: by the parts that `schedules` names for the deal's own product.
    """

    rule: Literal["one_line", "schedule", "percentages"] = "one_line"
    product_code: str | None = None
    parts: tuple[SplitPart, ...] = ()
    schedules: dict[str, tuple[SplitPart, ...]] = {}


class Tolerance(_Part):
    """Greatest accepted difference, in the currency's minor units, between expected and computed amounts."""

    tax_minor: Annotated[int, Field(ge=0)] = 1


class Policies(_Part):
    """What the link's owner decided."""

    trigger: Literal["order_activated", "opportunity_won"] = "order_activated"
    unmatched_customer: Literal["create", "hold"] = "create"
    invoice_status: Literal["draft", "authorised"] = "authorised"
    changed_after_posting: Literal["update_draft_else_credit_and_rebill", "hold"] = (
        "update_draft_else_credit_and_rebill"
    )
    cancelled_after_posting: Literal["void_else_credit", "hold"] = "void_else_credit"
    closed_period: Literal["hold", "next_open"] = "hold"
    exchange_rate: Literal["crm", "ledger"] = "ledger"
    #: keep: a rate that the CRM corrects afterwards changes nothing that is posted; as_changed: it is a change.
    rate_after_posting: Literal["keep", "as_changed"] = "keep"
    unknown_product: Literal["hold", "description_only"] = "hold"
    split: Split = Split()
    due_days: Annotated[int, Field(ge=0, le=365)] = 30
    invoice_number: str = "INV-{number}"
    #: Code of the item that freight is billed on; None means that freight on an order holds the order.
    freight_product_code: str | None = None
    default_tax_code: str | None = None
    #: hold: what takes a customer above its credit limit waits for a person (scenarios/credit/gate.py).
    credit: Literal["off", "hold"] = "off"
    #: What the ledger was last read longer ago than this says nothing about credit.
    credit_max_age_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    #: closed: without a limit, or with data that is too old, an order waits; open: it goes on.
    credit_fails: Literal["open", "closed"] = "closed"


class Products(_Part):
    """How products and prices go from the ledger to the CRM.

    Attributes:
        price_list: CSV file below the data home or include/ with prices in further currencies, validity dates and
            quantity breaks (scenarios/products/price_list.py); None: only the ledger's own price.
        price_book: name of a price book that gets every price too, beside the standard one.
        whole_read_hours: the ledger does not tell of deleted items; so often they are all read and compared.
    """

    price_list: str | None = None
    price_book: str | None = None
    whole_read_hours: Annotated[int, Field(ge=1, le=744)] = 24


class Returns(_Part):
    """How returns are credited.

    Attributes:
        of_paid: what is returned of an invoice that is paid. leave_open: the credit stays open for finance to refund;
            refund: it is paid back from refund_account; hold: it waits for a person.
        refund_account: the ledger's code of the account that refunds are paid from.
        restocking_fee: line: a line of its own with a negative amount; reduce: the lines' amounts less their part.
        fee_account, fee_tax_code: of that line; None: the revenue account and the tax code of the first line.
        damaged_account: of goods that are not restocked; None: the account that they were billed on.
    """

    of_paid: Literal["leave_open", "refund", "hold"] = "leave_open"
    refund_account: str | None = None
    restocking_fee: Literal["line", "reduce"] = "line"
    fee_account: str | None = None
    fee_tax_code: str | None = None
    damaged_account: str | None = None

    @model_validator(mode="after")
    def _refunds_come_from_somewhere(self) -> Returns:
        if self.of_paid == "refund" and not self.refund_account:
            raise ValueError("returns.of_paid: refund needs returns.refund_account")
        return self


Area = Literal["invoices", "tax", "payments", "credit_memos", "balances", "prices", "stock", "credit"]


class Threshold(_Part):
    """A difference up to either bound is listed as within tolerance, never left out.

    Attributes:
        absolute: in 10^-scale of the amount's unit: minor units of money, ten-thousandths of prices and quantities.
        percent: of the larger of both sides.
    """

    absolute: Annotated[int, Field(ge=0)] = 0
    percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(0)


class Reconciliation(_Part):
    """How the link's two systems are tied out (docs/reconciliation.md).

    Attributes:
        areas: what is compared; the systems are asked for no other records.
        days: a date that differs by no more is listed as within tolerance; also what rules that match by date allow.
        cut_off_hours: what changed no longer ago than this, and a later sync will carry over, is in transit.
        whole_read_hours: so often documents are read whole, so that what vanished without a trace is found.
        thresholds: class (reconcile/classes.py) -> its own, in place of include/reconciliation/rules.yaml.
        write_off_account: the ledger's account code that rounding is written off to; None: it is not proposed.
        notify: always, or only when a report has breaks or does not tie.
    """

    areas: tuple[Area, ...] = (
        "invoices", "tax", "payments", "credit_memos", "balances", "prices", "stock", "credit",
    )  # fmt: skip
    days: Annotated[int, Field(ge=0, le=31)] = 3
    cut_off_hours: Annotated[int, Field(ge=0, le=168)] = 2
    whole_read_hours: Annotated[int, Field(ge=1, le=744)] = 24
    thresholds: dict[str, Threshold] = {}
    write_off_account: str | None = None
    notify: Literal["always", "when_something"] = "when_something"


class Over(_Part):
    """Bounds of a plan that needs no approval; with one left out, only the other counts.

    Attributes:
        documents: how many of the ledger's documents it makes, changes, credits or voids.
        amount_minor: what those come to in any one currency, in minor units: the larger of before and after of each.
    """

    documents: Annotated[int, Field(ge=0)] | None = None
    amount_minor: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Over:
        if self.documents is None and self.amount_minor is None:
            raise ValueError("expected documents, amount_minor or both under 'over', found neither")
        return self


class ApprovalOver(_Part):
    """A plan beyond the bounds needs an approval."""

    over: Over


class Periods(_Part):
    """How runs of fiscal periods go (docs/backfill.md), and what closing one asks for (docs/periods.md).

    Attributes:
        approval: whether a plan is approved by a person before anything of it is posted.
        approvers: the names under which they sign in; none: whoever may decide on proposals.
        answer_within_hours: a plan that nobody has decided by then fails its run, and nothing is posted.
        active_runs: how many periods of the link may be at work at once.
        variance_percent, variance_minor: an area of a side that differs from the period before by more than both wants
            an explanation; the second in the currency's minor units.
    """

    approval: Literal["never", "always"] | ApprovalOver = "always"
    approvers: tuple[Annotated[str, Field(pattern=r"\S")], ...] = ()
    answer_within_hours: Annotated[int, Field(ge=1, le=2160)] = 72
    active_runs: Annotated[int, Field(ge=1, le=16)] = 1
    variance_percent: Annotated[Decimal, Field(ge=0)] = Decimal(25)
    variance_minor: Annotated[int, Field(ge=0)] = 100_000


#: A folder of connectors/, of include/mappings/ and of expectations/.
System = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Link(_Part):
    """One CRM, one ledger, one legal entity.

    Attributes:
        name: also the tenant in every doc_uid; never renamed once something was posted.
        crm, ledger: connection names; crm_system, ledger_system say which connectors speak to them.
        base_currency: ISO 4217 code of the ledger's books.
        time_zone: IANA name; the posting date of a record is its instant in this zone.
        calendar: of the fiscal periods, a file of include/calendars without its ending.
        revenue_account: the ledger's account code for lines without one of their own.
        tax_codes: CRM tax code -> the ledger's tax type.
        product_accounts: product code -> account code, where it differs from revenue_account.
        sweep_within_hours: every duplicate in the ledger is found within this time (scenarios/sweep.py).
        objects: entity -> another object of its system than the mapping's, such as a custom object for returns.
        field_overrides: `entity.field` of the common model -> a field mapping that replaces the mapping's.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    crm: str
    crm_system: System
    ledger: str
    ledger_system: System
    base_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    time_zone: str = "UTC"
    calendar: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")] = CALENDAR_MONTHS
    revenue_account: str
    tax_codes: dict[str, str] = {}
    product_accounts: dict[str, str] = {}
    policies: Policies = Policies()
    tolerances: Tolerance = Tolerance()
    sweep_within_hours: Annotated[int, Field(ge=1, le=744)] = 24
    products: Products = Products()
    returns: Returns = Returns()
    reconciliation: Reconciliation = Reconciliation()
    periods: Periods = Periods()
    schedules: Schedule = Schedule()
    owners: dict[str, str] = {}
    notify: tuple[str, ...] = ()
    objects: dict[str, str] = {}
    field_overrides: dict[str, dict[str, str]] = {}
