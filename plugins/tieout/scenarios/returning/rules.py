"""What a return is credited with, or why it has to wait: pure rules over the common model, no I/O.

A line is credited at what it was billed, in proportion to the quantity. What was credited of a billed line up to and
with a return is rounded once, so that the credits of all its quantity come to the line and its tax to the cent,
however many returns there were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.model.money import apportion, from_minor, proportion, tax_minor
from tieout.scenarios.billing import Hold, Row, Rules, posting_date, priced

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Sold:
    """A line as it was billed; amounts in minor units, the tax as the ledger has it."""

    line_id: str | None
    product_code: str | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    account_code: str
    tax_code: str
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Billed:
    """The invoice of an order as the ledger has it now.

    Attributes:
        account_id: the CRM's; customer_id: the ledger's.
        foreign_minor: what others than returns have credited of it, tax included.
        problem: why nothing can be credited, where that is so.
    """

    invoice_id: str
    number: str
    account_id: str
    customer_id: str | None
    currency: str
    exchange_rate: Decimal | None
    total_minor: int
    due_minor: int
    lines: tuple[Sold, ...]
    foreign_minor: int = 0
    problem: Hold | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is credited of one billed line, before a restocking fee. `index`: its place in the invoice, from 0."""

    index: int
    quantity: Decimal
    net_minor: int
    tax_minor: int


@dataclass
class Taken:
    """What returns have taken of one invoice, those in flight among them.

    Attributes:
        parts: of the billed lines.
        total_minor: all their credits, tax included, after fees.
        to_come_minor: what of them will still be set against what is due.
    """

    parts: list[Part] = field(default_factory=list)
    total_minor: int = 0
    to_come_minor: int = 0

    def of(self, index: int) -> Part:
        """The sum for one line."""
        own = [part for part in self.parts if part.index == index]
        quantity = sum((part.quantity for part in own), Decimal(0))
        return Part(index, quantity, sum(part.net_minor for part in own), sum(part.tax_minor for part in own))


@dataclass(frozen=True, slots=True)
class Return:
    """What a return is credited with. Amounts in minor units; `lines` as plans.Credited has them.

    Attributes:
        allocate_minor: set against what is due on the invoice.
        refund_minor: paid back to the customer. What is left of the total stays open.
    """

    lines: tuple[Row, ...]
    parts: tuple[Part, ...]
    net_minor: int
    tax_minor: int
    allocate_minor: int
    day: date
    refund_minor: int = 0

    @property
    def total_minor(self) -> int:
        """Tax included, after the fee."""
        return self.net_minor + self.tax_minor

    def added_to(self, taken: Taken) -> None:
        """Counts it as taken."""
        taken.parts += self.parts
        taken.total_minor += self.total_minor
        taken.to_come_minor += self.allocate_minor


@dataclass(frozen=True, slots=True)
class _Line:
    """A credited line before it is written: the billed one, the part of it, and whether it goes back into stock."""

    sold: Sold
    part: Part
    restock: bool
    net_minor: int
    tax_minor: int


def content(head: Row, lines: Sequence[Row]) -> dict[str, Any]:
    """What makes a return another one than it was, as canonical JSON takes it."""
    return {
        "order": head.get("order_id"), "account": head.get("account_id"), "currency": head.get("currency"),
        "fee_minor": head.get("fee_minor"),
        "lines": [
            {
                "of": line.get("order_line_id"), "quantity": _text(line.get("quantity")),
                "price": _text(line.get("unit_price")), "restock": _restocked(line),
            }
            for line in lines
        ],
    }  # fmt: skip


def credit(head: Row, lines: Sequence[Row], billed: Billed, taken: Taken, rules: Rules) -> Return | Hold:
    """The credit for one approved return.

    Args:
        head: a row of `return_order`; lines: its rows of `return_order_line`.
        billed: the invoice of its order.
        taken: what other returns took of that invoice.
    """
    for problem in (billed.problem, _of_another(head, billed), _no_lines(lines)):
        if problem:
            return problem
    before = Taken(list(taken.parts), taken.total_minor, taken.to_come_minor)
    made: list[_Line] = []
    for row in lines:
        line = _line(row, billed, before)
        if isinstance(line, Hold):
            return line
        before.parts.append(line.part)
        made.append(line)
    fee = head.get("fee_minor") or 0
    net = sum(line.net_minor for line in made)
    if not 0 <= fee < net:
        return Hold(
            "fee_out_of_range" if net else "nothing_to_credit",
            "the restocking fee is not between nothing and what is credited" if net else "the goods were free",
            f"less than {_money(net, billed)}", _money(fee, billed), "correct the return in the CRM",
        )  # fmt: skip
    fee_row: list[Row] = []
    if fee and rules.link.returns.restocking_fee == "reduce":
        made = _reduced(made, fee)
    elif fee:
        charged = _fee(fee, made[0].sold, billed, rules)
        if isinstance(charged, Hold):
            return charged
        fee_row = [charged]
    rows = [*(row for line in made for row in _rows(line, billed.currency, rules)), *fee_row]
    return _whole(rows, tuple(line.part for line in made), billed, taken, rules)


def _whole(rows: Sequence[Row], parts: tuple[Part, ...], billed: Billed, taken: Taken, rules: Rules) -> Return | Hold:
    net, tax = sum(row["net_minor"] for row in rows), sum(row["tax_minor"] for row in rows)
    left = billed.total_minor - billed.foreign_minor - taken.total_minor
    if net + tax > left:
        return Hold(
            "credited_already", f"less is left of invoice {billed.number} than the return comes to: finance has "
            "credited some of it", f"at most {_money(max(left, 0), billed)}", _money(net + tax, billed),
            "compare with the credit notes of the invoice in the ledger; cancel the return, or void the other credit",
        )  # fmt: skip
    allocate = max(0, min(net + tax, billed.due_minor - taken.to_come_minor))
    if allocate < net + tax and rules.link.returns.of_paid == "hold":
        return Hold(
            "invoice_paid", f"invoice {billed.number} is paid: the credit would stay open",
            f"{_money(net + tax, billed)} still due", _money(allocate, billed),
            "agree with finance on the refund, or set returns.of_paid in the link: leave_open or refund",
        )  # fmt: skip
    day = posting_date(rules.today, rules)
    if isinstance(day, Hold):
        return day
    refund = net + tax - allocate if rules.link.returns.of_paid == "refund" else 0
    return Return(tuple(rows), parts, net, tax, allocate, day, refund)


def _of_another(head: Row, billed: Billed) -> Hold | None:
    if head.get("account_id") and head["account_id"] != billed.account_id:
        return Hold(
            "account_differs", "the return is another customer's than the order", billed.account_id,
            str(head["account_id"]), "correct the account or the order of the return in the CRM",
        )  # fmt: skip
    if head.get("currency") != billed.currency:
        return Hold(
            "currency_differs", f"the return is in another currency than invoice {billed.number}", billed.currency,
            str(head.get("currency")), "correct the currency of the return in the CRM",
        )  # fmt: skip
    return None


def _no_lines(lines: Sequence[Row]) -> Hold | None:
    if lines:
        return None
    return Hold("lines_missing", "nothing says what comes back", "lines", "none", "add lines to the return in the CRM")


def _line(row: Row, billed: Billed, before: Taken) -> _Line | Hold:
    where = f"line {row.get('position')}"
    quantity = row.get("quantity")
    if quantity is None or quantity <= 0:
        return Hold(
            "quantity_not_positive", f"{where} returns nothing", "a quantity above zero", str(quantity),
            "correct the line in the CRM",
        )  # fmt: skip
    found = [index for index, sold in enumerate(billed.lines) if sold.line_id == row.get("order_line_id")]
    if row.get("order_line_id") is None or len(found) != 1:
        return Hold(
            "line_not_billed", f"{where} names no line that invoice {billed.number} billed",
            "an order product of the return's own order", str(row.get("order_line_id")),
            "choose the order product in the CRM; what was added after the invoice is not on it",
        )  # fmt: skip
    index, sold = found[0], billed.lines[found[0]]
    price = row.get("unit_price")
    if price is not None and price != sold.unit_price:
        return Hold(
            "price_differs", f"{where} has another price than invoice {billed.number}", _text(sold.unit_price) or "",
            _text(price) or "", "correct the price in the CRM, or leave it empty: what was billed is credited",
        )  # fmt: skip
    gone = before.of(index)
    if gone.quantity + quantity > sold.quantity:
        return Hold(
            "more_than_sold", f"{where} returns more than invoice {billed.number} billed and other returns left",
            f"at most {_text(sold.quantity - gone.quantity)}", _text(quantity) or "",
            "correct the quantity in the CRM, or cancel the other return",
        )  # fmt: skip
    part = Part(index, quantity, *(
        proportion(amount, gone.quantity + quantity, sold.quantity) - had
        for amount, had in ((sold.net_minor, gone.net_minor), (sold.tax_minor, gone.tax_minor))
    ))  # fmt: skip
    return _Line(sold, part, _restocked(row), part.net_minor, part.tax_minor)


def _restocked(row: Row) -> bool:
    """What somebody decided; else goods go back into stock unless they are damaged."""
    decided = row.get("restock")
    return not row.get("damaged") if decided is None else bool(decided)


def _reduced(made: Sequence[_Line], fee: int) -> list[_Line]:
    """Each line less its part of the fee, and its tax in proportion."""
    reduced = []
    for line, part in zip(made, apportion(fee, [line.net_minor for line in made]), strict=True):
        net = line.net_minor - part
        tax = proportion(line.tax_minor, Decimal(net), Decimal(line.net_minor)) if line.net_minor else 0
        reduced.append(_Line(line.sold, line.part, line.restock, net, tax))
    return reduced


def _rows(line: _Line, currency: str, rules: Rules) -> list[Row]:
    """The line with its quantity, so that the ledger takes it into stock; what no price of a piece comes to is a line
    more.

    Goods that are not restocked have no item: the ledger counts an item's quantity when it is credited.
    """
    sold = line.sold
    account = sold.account_code if line.restock else rules.link.returns.damaged_account or sold.account_code
    common = {"account_code": account, "tax_code": sold.tax_code}
    quantity, unit, net_minor = priced(line.part.quantity, line.net_minor, currency, rules.unit_decimals)
    first = {
        "product_code": sold.product_code if line.restock else None,
        "description": sold.description if line.restock else f"{sold.description} (not restocked)",
        "quantity": quantity, "unit_price": unit, "net_minor": net_minor, "tax_minor": line.tax_minor, **common,
    }  # fmt: skip
    if net_minor == line.net_minor:
        return [first]
    rest = line.net_minor - net_minor
    return [first, {
        "product_code": None, "description": f"Rounding: {sold.description}", "quantity": ONE,
        "unit_price": from_minor(rest, currency), "net_minor": rest, "tax_minor": 0, **common,
    }]  # fmt: skip


def _fee(fee: int, sold: Sold, billed: Billed, rules: Rules) -> Row | Hold:
    settings, link = rules.link.returns, rules.link
    tax_code = sold.tax_code
    if settings.fee_tax_code is not None:
        tax_code = link.tax_codes.get(settings.fee_tax_code, settings.fee_tax_code)
    rate = rules.tax_rates.get(tax_code)
    if rate is None:
        return Hold(
            "tax_code_unknown", "the tax of the restocking fee is not known to the ledger",
            f"one of {', '.join(sorted(rules.tax_rates))}", tax_code, "correct returns.fee_tax_code in the link",
        )  # fmt: skip
    amount = from_minor(fee, billed.currency)
    return {
        "product_code": None, "description": "Restocking fee", "quantity": ONE, "unit_price": -amount,
        "account_code": settings.fee_account or link.revenue_account, "tax_code": tax_code, "net_minor": -fee,
        "tax_minor": -tax_minor(fee, rate),
    }  # fmt: skip


def _money(minor: int, billed: Billed) -> str:
    return f"{from_minor(minor, billed.currency)} {billed.currency}"


def _text(number: Decimal | None) -> str | None:
    """Two equal numbers have one text."""
    return None if number is None else format(number.normalize(), "f") if number else "0"


def by_line(parts: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Parts as they were kept with an intent."""
    return [
        Part(part["index"], Decimal(part["quantity"]), part["net_minor"], part["tax_minor"]) for part in parts
    ]  # fmt: skip


def kept(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Parts as JSON takes them."""
    return [
        {
            "index": part.index, "quantity": _text(part.quantity), "net_minor": part.net_minor,
            "tax_minor": part.tax_minor,
        }
        for part in parts
    ]  # fmt: skip
