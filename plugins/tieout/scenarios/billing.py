"""From an order or a won deal to the invoice that it is billed by: pure rules over the common model, no I/O.

Here: which lines and prices are billed, how a deal without lines is split, tax codes, accounts, dates, the net of
each line. Not here: finding the customer (customers.py), what happens to a document that was posted before
(revisions.py), the vendor's fields (include/mappings).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from tieout.model.link import Link, SplitPart
from tieout.model.money import apportion, exponent, from_minor, line_amount, line_net, round_to_minor, tax_minor

Row = Mapping[str, Any]  # one row of a common-model frame; a missing value is None

ONE_HUNDRED = Decimal(100)
ZERO = Decimal(0)
#: Decimals that the ledger keeps for every currency, yen and dinar too (see connectors/xero/README.md).
LEDGER_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a document waits for a person, in the words that go into its dead letter."""

    reason: str
    message: str
    expected: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of the invoice to be. `net_minor` is rounded once, here; `tax_code` is the ledger's tax type.

    `tax_minor` is None where the ledger computes the tax, which is everywhere but in a currency without cents.
    """

    product_code: str | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    discount_percent: Decimal
    account_code: str
    tax_code: str
    net_minor: int
    tax_minor: int | None = None
    line_id: str | None = None  # the CRM's line that it bills


@dataclass(frozen=True)
class Bill:
    """What is to be billed for one order or deal. Amounts in minor units of `currency`, before tax."""

    source_id: str
    source_number: str
    account_id: str
    currency: str
    posting_date: date
    due_date: date
    original_date: date
    reference: str | None
    exchange_rate: Decimal | None
    lines: tuple[BillLine, ...]
    net_minor: int
    expected_tax_minor: int | None

    def content(self) -> Mapping[str, Any]:
        """What makes two revisions of one document different, as canonical JSON takes it (no ids of the ledger)."""
        return self._content

    @cached_property
    def _content(self) -> dict[str, Any]:
        return {
            "account": self.account_id,
            "currency": self.currency,
            "date": self.posting_date.isoformat(),
            "due": self.due_date.isoformat(),
            "reference": self.reference,
            "rate": None if self.exchange_rate is None else _plain(self.exchange_rate),
            "lines": [
                {
                    "product": line.product_code, "description": line.description, "quantity": _plain(line.quantity),
                    "price": _plain(line.unit_price), "discount": _plain(line.discount_percent),
                    "account": line.account_code, "tax": line.tax_code, "net_minor": line.net_minor,
                    "tax_minor": line.tax_minor,
                }
                for line in self.lines
            ],
        }  # fmt: skip


class Closed(NamedTuple):
    """A period of the link that is closed: its first and last day, its label, by whom and since when (UTC)."""

    first: date
    last: date
    label: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """What the link and the ledger say; read once for a run.

    Attributes:
        items: code of each item that the ledger knows -> the ledger's id of it.
        currencies: ISO codes that the ledger's books allow.
        tax_rates: active tax types of the ledger, with their rate in percent.
        aliases: product text as it was met -> item code that a person approved.
        locked_until: the later of the ledger's lock dates; nothing may be dated on or before it.
        today: the run's day in the link's time zone: the date of credit notes.
        closed: the link's closed periods, by first day; nothing may be dated in them either.
        line_discounts: whether the ledger's lines take a percentage.
        unit_decimals: of the price of a piece on a line of the ledger.
        unrated: active tax types whose rate the ledger keeps to itself.
    """

    link: Link
    items: Mapping[str, str]
    currencies: frozenset[str]
    tax_rates: Mapping[str, Decimal]
    aliases: Mapping[str, str]
    locked_until: date | None
    today: date
    closed: tuple[Closed, ...] = ()
    line_discounts: bool = True
    unit_decimals: int = 4
    unrated: frozenset[str] = frozenset()


def bill(
    order: Row, lines: Sequence[Row], quote: Row | None, quote_lines: Sequence[Row], rules: Rules, *,
    dated: date | None = None,
) -> Bill | Hold:  # fmt: skip
    """The invoice for one billable order (or won opportunity), or why it cannot be billed.

    Args:
        order: a row of `order` or `opportunity`.
        lines: its own lines, in order of position.
        quote: the accepted quote it came from, if any; its prices and discounts are what is billed.
        quote_lines: that quote's lines.
        rules: see Rules.
        dated: its date where it was posted already, open or not; None: posting_date() of the order's.
    """
    for problem in (_currency(order, rules), _account(order), _dates(order)):
        if problem:
            return problem
    priced = _priced_lines(order, lines, quote, quote_lines, rules)
    if isinstance(priced, Hold):
        return priced
    freight = _freight(order, quote, rules)
    if isinstance(freight, Hold):
        return freight
    billed: list[BillLine] = []
    for row in [*priced, *freight]:
        line = _line(row, order["currency"], rules)
        if isinstance(line, Hold):
            return line
        billed.append(line)
    day = dated or posting_date(order["order_date"], rules)
    if isinstance(day, Hold):
        return day
    rate = order.get("exchange_rate") if _uses_crm_rate(order, rules) else None
    if _uses_crm_rate(order, rules) and (rate is None or rate <= 0):
        return Hold(
            "exchange_rate_missing", f"no exchange rate for {order['currency']} in the CRM",
            f"a rate of {order['currency']} per {rules.link.base_currency} on {order['order_date']}", str(rate),
            "enter the dated rate in the CRM, or set exchange_rate: ledger in the link",
        )  # fmt: skip
    return Bill(
        source_id=order["order_id"],
        source_number=order["number"] or order["order_id"],
        account_id=order["account_id"],
        currency=order["currency"],
        posting_date=day,
        due_date=day + timedelta(days=rules.link.policies.due_days),
        original_date=order["order_date"],
        reference=order.get("reference"),
        exchange_rate=rate,
        lines=tuple(billed),
        net_minor=sum(line.net_minor for line in billed),
        expected_tax_minor=order.get("expected_tax_minor") if quote is None else (
            quote.get("tax_minor") if quote.get("tax_minor") is not None else order.get("expected_tax_minor")
        ),
    )  # fmt: skip


def _currency(order: Row, rules: Rules) -> Hold | None:
    code = order.get("currency")
    if code in rules.currencies:
        return None
    return Hold(
        "unknown_currency", f"the ledger does not keep books in {code!r}",
        f"one of {', '.join(sorted(rules.currencies))}", str(code),
        "enable the currency in the ledger, or correct it in the CRM",
    )  # fmt: skip


def _account(order: Row) -> Hold | None:
    if order.get("account_id"):
        return None
    return Hold(
        "customer_missing", "it names no account", "an account", "nothing", "set the account in the CRM",
    )  # fmt: skip


def _dates(order: Row) -> Hold | None:
    if order.get("order_date") is not None:
        return None
    return Hold("date_missing", "it has no date", "an order date or a close date", "nothing", "set it in the CRM")


def _uses_crm_rate(order: Row, rules: Rules) -> bool:
    return rules.link.policies.exchange_rate == "crm" and order["currency"] != rules.link.base_currency


def _priced_lines(
    order: Row, lines: Sequence[Row], quote: Row | None, quote_lines: Sequence[Row], rules: Rules
) -> list[Row] | Hold:
    agreed = agreed_lines(order, lines, quote, quote_lines)
    return _split(order, rules) if agreed is None else agreed


def agreed_lines(
    order: Row, lines: Sequence[Row], quote: Row | None, quote_lines: Sequence[Row]
) -> list[Row] | Hold | None:
    """The lines that were agreed on, at the accepted quote's prices where there is one; None for a deal without any."""
    if quote is not None and quote_lines and not lines:
        return list(quote_lines)
    if quote is not None and quote_lines:
        return _at_quoted_prices(order, lines, quote, quote_lines)
    return list(lines) or None


def _at_quoted_prices(order: Row, lines: Sequence[Row], quote: Row, quote_lines: Sequence[Row]) -> list[Row] | Hold:
    """The order's quantities at the prices and discounts that the customer accepted."""
    if quote.get("currency") != order.get("currency"):
        return Hold(
            "quote_currency_differs", f"quote {quote.get('number')} is in another currency than the order",
            str(order.get("currency")), str(quote.get("currency")), "correct the quote or the order in the CRM",
        )  # fmt: skip
    by_id = {row["line_id"]: row for row in quote_lines}
    by_product: dict[str, list[Row]] = {}
    for row in quote_lines:
        by_product.setdefault(row["product_code"] or "", []).append(row)
    priced: list[Row] = []
    for line in lines:
        accepted = by_id.get(line.get("quote_line_id") or "")
        if accepted is None:
            candidates = by_product.get(line["product_code"] or "", [])
            if len({(row["unit_price"], row["discount_percent"]) for row in candidates}) != 1:
                return Hold(
                    "line_not_in_quote" if not candidates else "quote_line_ambiguous",
                    f"product {line['product_code']} has {len(candidates)} lines in quote {quote.get('number')}",
                    "one accepted price for each product", f"{len(candidates)} lines",
                    "correct the order or the quote in the CRM, or detach the quote from the order",
                )  # fmt: skip
            accepted = candidates[0]
        priced.append({**line, "unit_price": accepted["unit_price"], "discount_percent": accepted["discount_percent"]})
    return priced


def _split(order: Row, rules: Rules) -> list[Row] | Hold:
    """Lines for a deal that has none, by the link's rule; the parts sum exactly to the deal's total."""
    total = order.get("total_minor")
    if total is None or total <= 0:
        return Hold(
            "lines_missing", "it has neither lines nor a positive amount", "lines, or an amount to split",
            "nothing" if total is None else str(from_minor(total, order["currency"])),
            "add lines or an amount in the CRM",
        )  # fmt: skip
    split = rules.link.policies.split
    product = rules.aliases.get(order.get("product_code") or "", order.get("product_code"))
    parts: tuple[SplitPart, ...]
    if split.rule == "percentages":
        parts = split.parts
    elif split.rule == "schedule":
        parts = split.schedules.get(product or "", ())
        if not parts:
            return Hold(
                "split_schedule_missing", f"the link has no split schedule for product {product!r}",
                f"one of {', '.join(sorted(split.schedules)) or 'none is set'}", str(product),
                "add the product to policies.split.schedules in the link",
            )  # fmt: skip
    else:
        parts = (SplitPart(product_code=split.product_code or product or "", percent=ONE_HUNDRED),)
    amounts = apportion(total, [part.percent for part in parts])
    return [
        {
            "line_id": None, "position": number, "product_code": part.product_code or None,
            "description": part.description or order.get("description") or part.product_code or order["number"],
            "quantity": Decimal(1), "unit_price": from_minor(amount, order["currency"]), "discount_percent": ZERO,
            "tax_code": None,
        }
        for number, (part, amount) in enumerate(zip(parts, amounts, strict=True), start=1)
    ]  # fmt: skip


def _freight(order: Row, quote: Row | None, rules: Rules) -> list[Row] | Hold:
    minor = (quote or {}).get("freight_minor")
    if minor is None:
        minor = order.get("freight_minor")
    if not minor:
        return []
    code = rules.link.policies.freight_product_code
    if code is None or minor < 0:
        return Hold(
            "freight_not_mapped" if minor > 0 else "freight_negative", "the order's freight cannot be billed",
            "policies.freight_product_code in the link and an amount of zero or more",
            str(from_minor(minor, order["currency"])), "set the code in the link, or correct the freight in the CRM",
        )  # fmt: skip
    return [
        {
            "line_id": None, "product_code": code, "description": "Freight", "quantity": Decimal(1),
            "unit_price": from_minor(minor, order["currency"]), "discount_percent": ZERO, "tax_code": None,
        }
    ]  # fmt: skip


def _line(row: Row, currency: str, rules: Rules) -> BillLine | Hold:
    for field in ("quantity", "unit_price"):
        if row.get(field) is None:
            return Hold(
                f"{field}_missing", f"line {row.get('position')} has no {field.replace('_', ' ')}", "a number",
                "nothing", "correct the line in the CRM",
            )  # fmt: skip
    quantity, price = row["quantity"], row["unit_price"]
    discount = row.get("discount_percent") or ZERO
    if quantity <= 0 or price < 0 or not ZERO <= discount <= ONE_HUNDRED:
        return Hold(
            "line_not_billable", f"line {row.get('position')}: quantity, price or discount is out of range",
            "quantity above 0, price of 0 or more, discount from 0 to 100",
            f"quantity {quantity}, price {price}, discount {discount}", "correct the line in the CRM",
        )  # fmt: skip
    product = _product(row.get("product_code"), rules)
    if isinstance(product, Hold):
        return product
    tax = _tax_code(row.get("tax_code"), rules)
    if isinstance(tax, Hold):
        return tax
    try:
        net = line_net(quantity, price, discount, currency)
        # Only where the currency has other decimals than the ledger can the two differ.
        alike = exponent(currency) == LEDGER_DECIMALS
        computed = None if alike else line_amount(quantity, price, discount, LEDGER_DECIMALS)
    except ValueError as error:
        return Hold(
            "amount_out_of_range", f"line {row.get('position')} comes to more than can be billed",
            "an amount within 64 bits of minor units", str(error), "correct the line in the CRM",
        )  # fmt: skip
    description = row.get("description") or row.get("product_code") or "Sale"
    fraction = computed is not None and from_minor(net, currency) != computed
    if fraction or (discount and not rules.line_discounts):
        if fraction and exponent(currency) > LEDGER_DECIMALS:
            return Hold(
                "too_precise_for_the_ledger",
                f"line {row.get('position')} comes to a fraction of what the ledger can hold",
                f"an amount with {LEDGER_DECIMALS} decimals", f"{from_minor(net, currency)} {currency}",
                "round the price in the CRM",
            )  # fmt: skip
        # The ledger would keep a fraction of a coin that does not exist, or takes no discount: it gets the rounded
        # line, and says of what. The pieces of a discounted line stay, where a price of theirs comes to its net: they
        # go out of stock, and may come back.
        less = f" less {_plain(discount)}%" if discount else ""
        description = f"{description} ({_plain(quantity)} x {_plain(price)}{less})"
        pieces, unit, made = priced(quantity, net, currency, rules.unit_decimals)
        quantity, price = (Decimal(1), from_minor(net, currency)) if fraction or made != net else (pieces, unit)
        discount = ZERO
    return BillLine(
        product_code=product,
        description=description,
        quantity=quantity,
        unit_price=price,
        discount_percent=discount,
        account_code=rules.link.product_accounts.get(product or "", rules.link.revenue_account),
        tax_code=tax,
        net_minor=net,
        tax_minor=_tax(net, tax, currency, rules),
        line_id=row.get("line_id"),
    )


def priced(quantity: Decimal, net_minor: int, currency: str, decimals: int) -> tuple[Decimal, Decimal, int]:
    """Quantity, price of a piece, and what the ledger makes of the two, in whole coins of the currency.

    Args:
        decimals: most that a price of the ledger may have.
    """
    exact = from_minor(net_minor, currency) / quantity
    for places in (decimals, exponent(currency)):
        unit = exact.quantize(Decimal(1).scaleb(-places))
        computed = line_amount(quantity, unit, None, LEDGER_DECIMALS)
        made = round_to_minor(computed, currency)
        if from_minor(made, currency) == computed:
            return quantity, unit, made
    return Decimal(1), from_minor(net_minor, currency), net_minor


def _tax(net: int, tax_type: str, currency: str, rules: Rules) -> int | None:
    """The ledger computes the tax; only where it would come to fractions of the smallest coin is it given."""
    if exponent(currency) >= LEDGER_DECIMALS or tax_type in rules.unrated:
        return None
    return int(tax_minor(net, rules.tax_rates[tax_type]))


def _product(code: str | None, rules: Rules) -> str | Hold | None:
    if code in rules.items:
        return code
    canonical = rules.aliases.get(code or "")
    if canonical in rules.items:
        return canonical
    if rules.link.policies.unknown_product == "description_only":
        return None
    return Hold(
        "unknown_product", f"the ledger has no item {code!r}", "an item's code, or an alias that a person approved",
        str(code),
        f"`tieout alias approve {rules.link.name} product {code!r} CODE --by NAME`, or add the item to the ledger",
    )  # fmt: skip


def _tax_code(code: str | None, rules: Rules) -> str | Hold:
    named = code or rules.link.policies.default_tax_code
    tax_type = rules.link.tax_codes.get(named or "")
    if tax_type is not None and (tax_type in rules.tax_rates or tax_type in rules.unrated):
        return tax_type
    return Hold(
        "unknown_tax_code", f"tax code {named!r} has no counterpart in the ledger",
        f"one of {', '.join(sorted(rules.link.tax_codes))} with an active tax rate in the ledger",
        f"{named!r} -> {tax_type!r}", "add the code to tax_codes in the link, or correct it in the CRM",
    )  # fmt: skip


def posting_date(day: date, rules: Rules) -> date | Hold:
    """The day; or, where it is not open, the first open one after it, or a Hold, as the link says.

    Every planner dates its documents by this.
    """
    why = shut(day, rules)
    if why is None:
        return day
    return first_open(day, rules) if rules.link.policies.closed_period == "next_open" else why


def first_open(day: date, rules: Rules) -> date:
    """The day, or the first one after it that neither the ledger has locked nor the link has closed."""
    if rules.locked_until is not None and day <= rules.locked_until:
        day = rules.locked_until + timedelta(days=1)
    while (one := within(day, rules.closed)) is not None:
        day = one.last + timedelta(days=1)
    return day


def within(day: date, closed: Sequence[Closed]) -> Closed | None:
    """The closed period that a day is in."""
    return next((one for one in closed if one.first <= day <= one.last), None)


def shut(day: date, rules: Rules) -> Hold | None:
    """Why nothing may be dated on a day, or changed that is; None where the day is open."""
    if (one := within(day, rules.closed)) is not None:
        return Hold(
            "period_closed", f"{day} is in {one.label}, which {one.by} closed on {one.at:%Y-%m-%d}",
            f"a date in an open period, such as {first_open(day, rules)}", str(day),
            "move the order's date, or set closed_period: next_open in the link, or have the period reopened: "
            f"`tieout period reopen {rules.link.name} {one.label}`, and another person decides",
        )  # fmt: skip
    if rules.locked_until is None or day > rules.locked_until:
        return None
    return Hold(
        "period_locked", f"{day} is in a period that the ledger has locked", f"a date after {rules.locked_until}",
        str(day),
        "move the order's date, or set closed_period: next_open in the link, or unlock the period in the ledger",
    )  # fmt: skip


def _plain(number: Decimal) -> str:
    """Two equal numbers have one text: 10, 10.0 and 1E+1 are the same price."""
    return format(number.normalize(), "f") if number else "0"
