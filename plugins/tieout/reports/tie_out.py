"""A tie-out in words and blocks: what page one, the printed page and a notice say of it. No HTML, no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tieout.model.tie_out import ClassSum, Item, Roll, TieOut, Total
from tieout.reports.present import figure, harmless, words

#: The order in which areas are shown; others follow by name.
AREAS = ("invoices", "tax", "payments", "credit_memos", "balances", "prices", "stock", "credit")
#: Document numbers of one break that a notice names.
NUMBERS_IN_A_NOTICE = 3


def order_of(one: Total | ClassSum | Roll) -> tuple[bool, str, int, str]:
    """What figures are sorted by: their currency, what has none last, and their area."""
    return not one.currency, one.currency, AREAS.index(one.area) if one.area in AREAS else len(AREAS), one.area


@dataclass(frozen=True, slots=True)
class Block:
    """Everything of one area in one currency."""

    total: Total
    classes: Sequence[ClassSum]
    roll: Roll | None


def by_currency(page: TieOut) -> dict[str, list[Block]]:
    """currency -> its areas, in their order. Two currencies never add, and neither do two areas: they overlap."""
    rolls = {(one.area, one.currency): one for one in page.rolls}
    blocks: dict[str, list[Block]] = {}
    for total in sorted(page.totals, key=order_of):
        key = (total.area, total.currency)
        classes = [one for one in page.classes if (one.area, one.currency) == key]
        blocks.setdefault(total.currency, []).append(Block(total, classes, rolls.get(key)))
    return blocks


def verdict(page: TieOut) -> str:
    """One sentence: whether it ties out, and by how much it does not."""
    open_ = [total for total in page.totals if total.unexplained]
    if open_:
        parts = [f"{_figure(one, one.unexplained)} of {words(one.area)}" for one in open_]
        return f"Does not tie out: {', '.join(parts)} unexplained."
    if not page.totals:
        return "Nothing to compare on this day."
    if not any(total.difference for total in page.totals) and not page.items:
        return "Ties out: both sides are equal."
    count, new = page.items, page.new_items
    return (
        f"Ties out: every difference is explained by {count:,} break{'' if count == 1 else 's'}, {new:,} of them new."
    )


def has_something_to_say(page: TieOut) -> bool:
    """Whether who asked for news only should be told: a remainder, a new break, a sign-off that is suspended."""
    return page.head.state == "untied" or page.new_items > 0 or bool(_suspended(page))


def _suspended(page: TieOut) -> list[str]:
    valid = {one.role for one in page.signatures if one.suspended_at is None}
    return sorted({one.role for one in page.signatures if one.suspended_at is not None} - valid)


def notice(page: TieOut, largest: Sequence[Item], where: str) -> tuple[str, str]:
    """Subject and text for e-mail and chat.

    No customer's name: a chat is read by more people than the pages are, and an amount, a class and a document's number
    lead to the break.

    Args:
        largest: the breaks to name, in order.
        where: the address of the page; empty where it is not known.
    """
    head = page.head
    lines = [verdict(page)]
    for total in sorted(page.totals, key=order_of):
        lines.append(
            f"{words(total.area)}{' ' if total.currency else ''}{total.currency}: "
            f"CRM {figure(total.a_amount, total.scale)}, ledger {figure(total.b_amount, total.scale)}, "
            f"difference {figure(total.difference, total.scale)}, explained {figure(total.explained, total.scale)}, "
            f"unexplained {figure(total.unexplained, total.scale)}"
        )
    if suspended := _suspended(page):
        lines.append(f"Suspended: what the {' and the '.join(suspended)} signed has changed.")
    if largest:
        lines += ["", "Largest breaks:", *(f"{place}. {_line(item)}" for place, item in enumerate(largest, start=1))]
    if where:
        lines += ["", f"Look at: {where}"]
    state = "ties out" if head.state == "tied" else "DOES NOT TIE OUT"
    return f"Tieout: {head.link} {state} on {head.as_of}, {page.new_items:,} new breaks", "\n".join(lines)


def _line(item: Item) -> str:
    numbers = ", ".join(harmless(number) for number in item.numbers[:NUMBERS_IN_A_NOTICE])
    amount = f"{figure(item.amount, item.scale)} {item.currency}".strip()
    return f"{amount}, {words(item.area)}: {words(item.class_)}{f' ({numbers})' if numbers else ''}"


def _figure(total: Total, value: int) -> str:
    return f"{figure(value, total.scale)} {total.currency}".strip()
