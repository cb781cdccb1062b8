"""Tax of a sales document: the US company's automated sales tax, the GB company's tax code on each line.

A TotalTax that is sent is honoured: it is spread over the rates in proportion to what each would have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.quickbooks import reference
from sandbox.quickbooks.books import Books, ref_of
from sandbox.quickbooks.errors import bad_reference, business, unsupported
from sandbox.quickbooks.lines import Lines, Part
from sandbox.quickbooks.wire import ZERO, cents
from sandbox.state import Record

CALCULATIONS = ("TaxExcluded", "TaxInclusive", "NotApplicable")
NO_CODE = "Make sure all your transactions have a VAT rate before you save."


@dataclass(frozen=True, slots=True)
class Share:
    """What one rate takes: `percent` of `base`."""

    rate_id: str
    percent: Decimal
    base: Decimal
    tax: Decimal


def build(books: Books, given: Record, lines: Lines, customer: Record) -> tuple[Record, Decimal, str | None]:
    """(TxnTaxDetail, total tax, GlobalTaxCalculation). Raises Refused."""
    detail = given.get("TxnTaxDetail") or {}
    explicit = detail.get("TotalTax")
    if explicit is not None and explicit < 0:
        raise business("The tax of a transaction must be 0 or greater")
    if books.is_us:
        shares = _automated(books, given, lines, customer)
        total = sum((share.tax for share in shares), ZERO)
        if explicit is not None and any(part.code == "TAX" for part in lines.parts):
            total, shares = cents(explicit), spread(shares, cents(explicit))
        code = ref_of(detail, "TxnTaxCodeRef")
        if code is not None and books.table("TaxCode").get(code) is None:
            raise bad_reference("TxnTaxCodeRef", code)
        return _shown(shares, total, {"TxnTaxCodeRef": {"value": code or "2"}}), total, None
    calculation = given.get("GlobalTaxCalculation") or "TaxExcluded"
    if calculation not in CALCULATIONS:
        raise unsupported(
            f"Property Name:GlobalTaxCalculation specified is unsupported or invalid. Supplied value:{calculation}",
            "2180",
        )
    shares = [] if calculation == "NotApplicable" else _by_codes(books, lines, calculation == "TaxInclusive")
    total = sum((share.tax for share in shares), ZERO)
    if explicit is not None and shares:
        total, shares = cents(explicit), spread(shares, cents(explicit))
    return _shown(shares, total, {}), total, calculation


def spread(shares: list[Share], total: Decimal) -> list[Share]:
    """The total over the shares in proportion to their tax, else to their base; the last one takes what is left."""
    weights = [share.tax for share in shares]
    if not sum(weights):
        weights = [abs(share.base) for share in shares]
    whole, left, done = sum(weights, ZERO), total, []
    for share, weight in zip(shares, weights, strict=True):
        part = cents(total * weight / whole) if whole else ZERO
        done.append(Share(share.rate_id, share.percent, share.base, part))
        left -= part
    if done and left:
        last = done[-1]
        done[-1] = Share(last.rate_id, last.percent, last.base, last.tax + left)
    return done


def _automated(books: Books, given: Record, lines: Lines, customer: Record) -> list[Share]:
    """Each jurisdiction's rate on what is taxable; the discount lowers it only with ApplyTaxAfterDiscount."""
    taxable = sum((part.net for part in lines.parts if part.code == "TAX"), ZERO)
    if given.get("ApplyTaxAfterDiscount") and lines.subtotal:
        taxable -= cents(lines.discount * taxable / lines.subtotal)
    if not taxable or customer.get("Taxable") is False:
        taxable = ZERO
    rates = reference.us_rates(books).items()
    return [Share(id_, percent, taxable, cents(taxable * percent / 100)) for id_, (_, percent) in rates]


def _by_codes(books: Books, lines: Lines, inclusive: bool) -> list[Share]:
    bases: dict[str, Decimal] = {}
    gross: dict[str, Decimal] = {}
    percents: dict[str, Decimal] = {}
    for part in lines.parts:
        if part.code is None:
            raise business(NO_CODE)
        for rate_id in rates_of(books, part.code):
            percents[rate_id] = books.table("TaxRate")[rate_id]["RateValue"]
            net = part.net
            if lines.subtotal and lines.discount:
                net -= cents(lines.discount * net / lines.subtotal)
            bases[rate_id] = bases.get(rate_id, ZERO) + net
            if inclusive:
                gross[rate_id] = gross.get(rate_id, ZERO) + _gross(part, percents[rate_id]) - (part.net - net)
    taxes = {id_: cents(base * percents[id_] / 100) for id_, base in bases.items()}
    if inclusive and not lines.discount:
        taxes = {id_: gross[id_] - base for id_, base in bases.items()}
    return [Share(id_, percents[id_], base, taxes[id_]) for id_, base in bases.items()]


def _gross(part: Part, percent: Decimal) -> Decimal:
    """The line with its tax: TaxInclusiveAmt when it is sent, and then Amount must be its net."""
    detail = part.line["SalesItemLineDetail"]
    sent: Decimal | None = detail.get("TaxInclusiveAmt")
    if sent is None:
        sent = cents(part.net * (100 + percent) / 100)
        detail["TaxInclusiveAmt"] = sent
    elif abs(cents(sent * 100 / (100 + percent)) - part.net) > Decimal("0.01"):
        raise business(f"Amount {part.net} is not TaxInclusiveAmt {sent} without tax at {percent} %")
    return sent


def rates_of(books: Books, code: str) -> list[str]:
    """The sales rates of a tax code, by id."""
    record = books.table("TaxCode").get(code)
    if record is None:
        raise bad_reference("TaxCodeRef", code)
    return [entry["TaxRateRef"]["value"] for entry in record["SalesTaxRateList"]["TaxRateDetail"]]


def _shown(shares: list[Share], total: Decimal, more: Record) -> Record:
    tax_lines = [
        {
            "Amount": share.tax,
            "DetailType": "TaxLineDetail",
            "TaxLineDetail": {
                "TaxRateRef": {"value": share.rate_id},
                "PercentBased": True,
                "TaxPercent": share.percent,
                "NetAmountTaxable": share.base,
            },
        }
        for share in shares
        if share.base or share.tax
    ]
    return more | {"TotalTax": total, "TaxLine": tax_lines}
