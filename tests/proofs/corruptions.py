"""What goes wrong between two systems, put straight into both: each on a customer of its own: none hides another.

A corruption says what stands there before (`orders`, `before`), what is done to it, and exactly which differences the
reconciliation must find, with class and amount in minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import httpx

from tests.scenarios.format import Return
from tests.scenarios.world import World
from tieout.connectors import exact_json

DAY = date(2026, 3, 10)
LOCKED = date(2026, 1, 31)
NET, GROSS = Decimal("100.00"), Decimal("120.00")
#: area, component, class, currency, amount in 10^-scale
Found = tuple[str, str, str, str, int]


class Hands:
    """Straight into both systems' records, past what their APIs let anybody do; and back again."""

    XERO: ClassVar[dict[str, str]] = {"Invoices": "InvoiceID", "CreditNotes": "CreditNoteID", "Payments": "PaymentID",
            "Allocations": "AllocationID", "Items": "ItemID"}  # fmt: skip
    CRM = ("Account", "Order", "OrderItem", "Product2", "PricebookEntry", "ReturnOrder")

    def __init__(self, world: World, url: str) -> None:
        self.world, self._url = world, url
        self._http = httpx.Client(timeout=60)

    def ledger(self, table: str, id_: str, **fields: Any) -> None:
        """Changes a record of the ledger; it says that it changed just now."""
        record = next(one for one in self._raw(f"xero/_sandbox/raw/{table}") if one[self.XERO[table]] == id_)
        self._put(table, {**record, **fields})

    def vanish(self, table: str, id_: str) -> None:
        """A record of the ledger is gone without a trace."""
        self._http.delete(f"{self._url}/xero/_sandbox/raw/{table}/{id_}").raise_for_status()

    def crm(self, object_name: str, id_: str, **fields: Any) -> None:
        """Changes a record of the CRM."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.world.doors.raw(object_name, [{"Id": id_, **fields, "SystemModstamp": now}])

    def snapshot(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Every record of both systems."""
        ledger = {
            f"xero/{table}": {one[key]: one for one in self._raw(f"xero/_sandbox/raw/{table}")}
            for table, key in self.XERO.items()
        }
        crm = {f"crm/{name}": {one["Id"]: one for one in self._raw(f"salesforce/_sandbox/raw/{name}")}
               for name in self.CRM}  # fmt: skip
        return {**ledger, **crm}

    def restore(self, before: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Both systems as they were: somebody mended everything."""
        now_there = self.snapshot()
        for name, records in before.items():
            system, _, table = name.partition("/")
            for id_, record in records.items():
                if now_there[name].get(id_) == record:
                    continue
                if system == "xero":
                    self._put(table, record)
                else:
                    kept = {key: value for key, value in record.items() if key != "Id"}
                    self.crm(table, id_, **kept)
            if system == "xero":
                for id_ in now_there[name].keys() - records.keys():
                    self.vanish(table, id_)

    def _put(self, table: str, record: Mapping[str, Any]) -> None:
        kept = {key: value for key, value in record.items() if key not in ("_created", "UpdatedDateUTC")}
        answer = self._http.post(f"{self._url}/xero/_sandbox/raw/{table}", content=exact_json.dumps([kept]))
        assert answer.status_code == 200, answer.text

    def _raw(self, path: str) -> list[dict[str, Any]]:
        answer = self._http.get(f"{self._url}/{path}").raise_for_status()
        found: list[dict[str, Any]] = exact_json.loads(answer.content)
        return found


@dataclass(frozen=True)
class Case:
    """One corruption with its own customer and order; `do` and `before` get it together with the hands."""

    name: str
    do: Callable[[Case, Hands], None]
    finds: tuple[Found, ...]
    orders: tuple[Mapping[str, Any], ...] = ({},)
    before: Callable[[Case, Hands], None] | None = None
    #: What differs before anything is done, and stays.
    anyway: tuple[Found, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)

    @property
    def customer(self) -> str:
        return f"Customer of {self.name}"

    def order(self, number: int = 1) -> str:
        return f"{self.name}-{number}"

    def given(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The account and its orders, as given.yaml has them: two chairs, 100.00 before tax."""
        account = {"name": self.customer, "city": "Leeds", "country": "United Kingdom", **self.account}
        lines = [{"product": "CHAIR", "quantity": 2, "price": Decimal("50.00")}]
        orders = [
            {"order": self.order(number), "account": self.customer, "date": DAY.isoformat(), "lines": lines, **more}
            for number, more in enumerate(self.orders, start=1)
        ]
        return account, orders

    def id(self, hands: Hands, number: int = 1) -> str:
        """Of the order in the CRM."""
        return hands.world.ids[f"order:{self.order(number)}"]

    def account_id(self, hands: Hands) -> str:
        return hands.world.ids[f"account:{self.customer}"]

    def invoice(self, hands: Hands, number: int = 1) -> dict[str, Any]:
        """The order's own invoice in the ledger."""
        (found,) = hands.world._invoices(self.order(number))
        return found

    def contact(self, hands: Hands) -> str:
        return hands.world._contact(self.customer)


CASES: list[Case] = []


def case(*finds: Found, **more: Any) -> Callable[[Callable[[Case, Hands], None]], None]:
    """Registers a corruption; its name is the function's."""

    def add(do: Callable[[Case, Hands], None]) -> None:
        CASES.append(Case(do.__name__, do, finds, **more))

    return add


def amounts(net: str, tax: str) -> dict[str, Any]:
    """The figures of an unpaid invoice in the ledger."""
    net_, tax_ = Decimal(net), Decimal(tax)
    return {"SubTotal": net_, "TotalTax": tax_, "Total": net_ + tax_, "AmountDue": net_ + tax_}


# --- invoices -----------------------------------------------------------------------------------------------------


@case(
    ("invoices", "presence", "voided_or_deleted", "GBP", 10000),
    # Only the whole read sees it, and that is the reconciliation's: what credit-sync wrote before is old.
    ("balances", "balance", "stale_credit", "GBP", 12000),
)
def invoice_vanished(one: Case, hands: Hands) -> None:
    hands.vanish("Invoices", one.invoice(hands)["InvoiceID"])


@case(("invoices", "presence", "voided_or_deleted", "GBP", 10000))
def invoice_voided(one: Case, hands: Hands) -> None:
    hands.world.hand.void(one.invoice(hands)["InvoiceID"])


@case(("invoices", "amount", "amount", "GBP", -2500))
def amount_edited_in_the_ledger(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], **amounts("125.00", "25.00"))


@case(("tax", "tax", "tax", "GBP", -150), orders=({"expected_tax": Decimal("20.00")},))
def tax_edited_in_the_ledger(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], **amounts("100.00", "21.50"))


@case(("tax", "tax", "rounding", "GBP", -1), orders=({"expected_tax": Decimal("20.00")},))
def tax_is_a_cent_more(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], **amounts("100.00", "20.01"))


@case(("invoices", "amount", "rounding", "GBP", 1))
def net_is_a_cent_less(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], **amounts("99.99", "20.01"))


@case(("invoices", "customer", "customer", "GBP", 0))
def wrong_customer(one: Case, hands: Hands) -> None:
    other = next(each for each in CASES if each.name == "somebody_else")
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], ContactID=other.contact(hands))


@case()
def somebody_else(one: Case, hands: Hands) -> None:
    """Nothing is done to it: its invoice must not be found."""


@case(("invoices", "currency", "currency", "GBP", 10000), ("invoices", "currency", "currency", "USD", -10000))
def other_currency(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], CurrencyCode="USD", CurrencyRate=Decimal("1.270000"))


EURO = {"currency": "EUR", "rate": Decimal("1.17")}


@case(("invoices", "rate", "rate", "EUR", 0), orders=(EURO,))
def other_rate(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], CurrencyRate=Decimal("1.250000"))


@case(("invoices", "link", "unlinked", "GBP", 0))
def voided_and_entered_again_by_hand(one: Case, hands: Hands) -> None:
    hands.world.hand.void(one.invoice(hands)["InvoiceID"])
    hands.world.hand.invoice("HAND-1", {"ContactID": one.contact(hands)}, NET, DAY)


@case(("invoices", "date", "date", "GBP", 0))
def moved_to_another_date(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], Date="2026-03-25")


@case(("invoices", "number", "unlinked", "GBP", 0))
def number_changed_in_the_ledger(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], InvoiceNumber="RENAMED-1")


@case(("invoices", "presence", "missing_in_crm", "GBP", -5000))
def invoice_by_hand(one: Case, hands: Hands) -> None:
    hands.world.hand.invoice("HAND-2", {"ContactID": one.contact(hands)}, Decimal("50.00"), DAY)


@case(("invoices", "presence", "duplicate", "GBP", -10000))
def billed_twice(one: Case, hands: Hands) -> None:
    hands.world.hand.invoice("TWICE-1", {"ContactID": one.contact(hands)}, NET, DAY)


@case(("invoices", "amount", "closed_period_change", "GBP", 1000), orders=({"date": "2026-01-20"},))
def amount_edited_in_a_closed_period(one: Case, hands: Hands) -> None:
    hands.ledger("Invoices", one.invoice(hands)["InvoiceID"], **amounts("90.00", "18.00"))


# --- the CRM's records ----------------------------------------------------------------------------------------------


@case(("invoices", "presence", "voided_or_deleted", "GBP", -10000))
def order_deleted(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), IsDeleted=True)


@case(("invoices", "presence", "voided_or_deleted", "GBP", -10000))
def order_cancelled(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Status="Cancelled")


@case(("invoices", "amount", "amount", "GBP", 5000))
def quantity_edited_after_billing(one: Case, hands: Hands) -> None:
    hands.crm("OrderItem", hands.world.ids[f"order:{one.order()}:1"], Quantity=3)


@case(("invoices", "customer", "customer", "GBP", 0))
def order_moved_to_another_account(one: Case, hands: Hands) -> None:
    other = next(each for each in CASES if each.name == "somebody_else")
    hands.crm("Order", one.id(hands), AccountId=other.account_id(hands))


@case(("invoices", "presence", "missing_in_finance", "GBP", 10000), orders=({}, {"activated": False}))
def order_that_nobody_billed(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands, 2), Status="Activated")


@case(("invoices", "status", "status", "GBP", 0))
def status_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Tieout_Invoice_Status__c="PAID")


@case(("invoices", "number", "unlinked", "GBP", 0))
def number_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Tieout_Invoice_Number__c="INV-typed")


@case(("invoices", "total", "status", "GBP", 0))
def total_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Tieout_Invoice_Total__c=Decimal("200.00"))


@case(("invoices", "due", "status", "GBP", 0))
def amount_due_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Tieout_Amount_Due__c=0)


@case(("invoices", "link", "unlinked", "GBP", 0))
def write_back_emptied(one: Case, hands: Hands) -> None:
    fields = ("Id", "Number", "Status", "Total")
    emptied = {f"Tieout_Invoice_{name}__c": None for name in fields} | {"Tieout_Amount_Due__c": None}
    hands.crm("Order", one.id(hands), **emptied)


# --- payments -------------------------------------------------------------------------------------------------------


def paid(amount: str) -> Callable[[Case, Hands], None]:
    """A payment before everything is carried over again."""
    return lambda one, hands: hands.world.hand.pay(one.invoice(hands)["InvoiceID"], Decimal(amount), DAY)


@case(("payments", "paid", "duplicate", "GBP", -3000), before=paid("30.00"))
def payment_booked_twice(one: Case, hands: Hands) -> None:
    hands.world.hand.pay(one.invoice(hands)["InvoiceID"], Decimal("30.00"), DAY)


@case(("payments", "presence", "voided_or_deleted", "GBP", 12000), before=paid("120.00"))
def payment_deleted(one: Case, hands: Hands) -> None:
    (payment,) = payments_of(one, hands)
    hands.world.hand.change("Payments", {"PaymentID": payment, "Status": "DELETED"})


@case(("payments", "paid", "amount", "GBP", 1000), before=paid("30.00"))
def payment_edited(one: Case, hands: Hands) -> None:
    (payment,) = payments_of(one, hands)
    hands.ledger("Payments", payment, Amount=Decimal("20.00"))


@case(("payments", "presence", "missing_in_crm", "GBP", -4000))
def payment_that_the_crm_does_not_show(one: Case, hands: Hands) -> None:
    hands.world.hand.pay(one.invoice(hands)["InvoiceID"], Decimal("40.00"), DAY)


@case(("payments", "presence", "missing_in_finance", "GBP", 1000))
def paid_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Order", one.id(hands), Tieout_Amount_Paid__c=Decimal("10.00"))


def given_back(one: Case, hands: Hands) -> None:
    """The invoice is paid; finance credits 20.00 of it by hand, and pays them back."""
    paid("120.00")(one, hands)
    number = one.invoice(hands)["InvoiceNumber"]
    note = hands.world.hand.credit(one.contact(hands), Decimal("20.00"), DAY, "GBP", "ZERORATEDOUTPUT", number)
    hands.world.hand.pay_back(note["CreditNoteID"], Decimal("20.00"), DAY)


@case(
    ("payments", "paid", "amount", "GBP", -2000), before=given_back,
    anyway=(("credit_memos", "presence", "missing_in_crm", "GBP", -2000),),
)  # fmt: skip
def refund_missing(one: Case, hands: Hands) -> None:
    refund = next(
        each["PaymentID"] for each in hands._raw("xero/_sandbox/raw/Payments")
        if each["Target"] == "CreditNote" and each["Amount"] == 20
    )  # fmt: skip
    hands.world.hand.change("Payments", {"PaymentID": refund, "Status": "DELETED"})


def payments_of(one: Case, hands: Hands) -> list[str]:
    invoice = one.invoice(hands)["InvoiceID"]
    return [each["PaymentID"] for each in hands._raw("xero/_sandbox/raw/Payments") if each["TargetID"] == invoice]


# --- credits --------------------------------------------------------------------------------------------------------


@case(("credit_memos", "presence", "missing_in_crm", "GBP", -1000))
def credit_note_by_hand(one: Case, hands: Hands) -> None:
    hands.world.hand.credit(one.contact(hands), Decimal("10.00"), DAY, "GBP")


def returned(one: Case, hands: Hands) -> None:
    """One of the two chairs comes back."""
    given = {"return": one.name, "order": one.order(), "lines": [{"line": 1, "quantity": 1}]}
    hands.world._enter_return(Return.model_validate(given))


@case(("credit_memos", "presence", "voided_or_deleted", "GBP", -5000), before=returned)
def return_cancelled_after_its_credit(one: Case, hands: Hands) -> None:
    hands.crm("ReturnOrder", hands.world.ids[f"return:{one.name}"], Status="Canceled")


@case(
    ("payments", "presence", "unapplied_cash", "GBP", 6000), ("invoices", "due", "status", "GBP", 0), before=returned,
)  # fmt: skip
def credit_taken_off_its_invoice(one: Case, hands: Hands) -> None:
    invoice = one.invoice(hands)["InvoiceID"]
    (allocation,) = (
        each for each in hands._raw("xero/_sandbox/raw/Allocations") if each["InvoiceID"] == invoice
    )  # fmt: skip
    hands.world.hand.delete(f"CreditNotes/{allocation['SourceID']}/Allocations", allocation["AllocationID"])


@case(("credit_memos", "amount", "amount", "GBP", -1000), before=returned)
def credit_note_edited(one: Case, hands: Hands) -> None:
    (note,) = (
        each for each in hands.world.hand.all("CreditNotes") if each["Contact"]["ContactID"] == one.contact(hands)
    )
    hands.ledger("CreditNotes", note["CreditNoteID"], SubTotal=Decimal("60.00"), Total=Decimal("72.00"))


# --- what is done last, when finance's figures were carried over again ----------------------------------------------

#: Names of the corruptions that come after credit and products were synced.
LAST = ("balance_typed_over", "limit_typed_over", "available_typed_over", "price_typed_over", "stock_typed_over",
        "product_deactivated", "price_changed_in_finance")  # fmt: skip
LIMIT = {"limit": Decimal("1000.00"), "currency": "GBP"}


@case(("balances", "balance", "amount", "GBP", 8000))
def balance_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Account", one.account_id(hands), Tieout_Open_Balance__c=200)


@case(("credit", "limit", "amount", "GBP", 400000))
def limit_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Account", one.account_id(hands), Tieout_Credit_Limit__c=5000)


@case(("credit", "available", "amount", "GBP", 11900))
def available_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Account", one.account_id(hands), Tieout_Available_Credit__c=999)


@case(("prices", "price", "amount", "GBP", -50000))
def price_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("PricebookEntry", hands.world.ids["price:DESK:GBP"], UnitPrice=195)


@case(("stock", "stock", "amount", "", 930000))
def stock_typed_over(one: Case, hands: Hands) -> None:
    hands.crm("Product2", hands.world.ids["product:STOOL"], Tieout_Stock__c=100)


@case(("prices", "status", "status", "GBP", 0))
def product_deactivated(one: Case, hands: Hands) -> None:
    hands.crm("Product2", hands.world.ids["product:BOOK"], IsActive=False)


@case(("prices", "price", "amount", "GBP", -10000))
def price_changed_in_finance(one: Case, hands: Hands) -> None:
    item = next(each["ItemID"] for each in hands.world.hand.all("Items") if each["Code"] == "LAMP")
    hands.world.hand.change("Items", {"ItemID": item, "Code": "LAMP", "SalesDetails": {"UnitPrice": 21}})
