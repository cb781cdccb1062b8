"""Both systems of one period, and the day that puts each amount into a period.

Documents have a date. What the CRM shows as paid is one sum: it is put on the days of the ledger's payments, in the
order in which these became known, as far as they come to it; what is left of it on the day that the CRM shows, else on
the day of its last change. What is used of a return's credit is put on the days of the allocations and refunds, a
return on the day of its credit note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tieout.model.money import to_minor
from tieout.model.standing import VOID
from tieout.scenarios.frames import rows
from tieout.scenarios.periods.scope import Scope
from tieout.scenarios.services import Side
from tieout.scenarios.tying_out import credit_memos, invoices, payments
from tieout.scenarios.tying_out.reading import Books, Read, read_staged

if TYPE_CHECKING:
    import pandas as pd

#: What flows in a period; the other areas are standings of a day.
AREAS = ("invoices", "tax", "payments", "credit_memos")


@dataclass
class PeriodBooks(Books):
    """Books of which only a period's scope is read. `as_of` is its last day; nothing counts out for being later."""

    scope: Scope = field(default_factory=lambda: Scope({}, (), (), {}))

    _only = "and (vendor_id = any(:vendors) or source_id = any(:sources))"

    def _bound(self) -> Mapping[str, Any]:
        return {"vendors": list(self.scope.vendors), "sources": list(self.scope.sources)}

    def _staged(self, side: Side, entity: str) -> Read:
        place = "crm" if side is self.services.crm else "ledger"
        chosen = self.scope.reads.get((place, entity))
        if chosen is None:
            return super()._staged(side, entity)
        return read_staged(self.services, side, entity, self.known_at, *chosen)

    def later_days(self, dates: pd.Series[Any]) -> pd.Series[Any]:
        """None: what is dated in another period counts there."""
        import pandas as pd

        return pd.Series(pd.NA, index=dates.index, dtype="Int64")


def items(books: PeriodBooks) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """(of the CRM, of the ledger) for each group of the link's areas that flow, with `day` on every item."""
    wanted: set[str] = {area for area in books.services.link.reconciliation.areas if area in AREAS}
    made: list[tuple[Any, Any]] = []
    if wanted & {"invoices", "tax"}:
        crm, ledger = invoices.items(books)
        made.append((_by_key(books, crm), _by_key(books, ledger)))
    if "payments" in wanted:
        crm, ledger = payments.items(books, returns="credit_memos" in wanted)
        ledger = _by_key(books, _used(books, ledger))
        made.append((_shown_as_paid(books, crm, ledger), ledger))
    if "credit_memos" in wanted:
        crm, ledger = credit_memos.items(books)
        ledger = _by_key(books, ledger)
        made.append((_returned(books, crm, ledger), ledger))
    return [(_alone(crm, wanted), _alone(ledger, wanted)) for crm, ledger in made]


def _alone(frame: Any, wanted: set[str]) -> Any:
    if frame.empty:
        return frame
    kept = frame[frame["area"].isin(wanted)]
    return kept.assign(alone=~kept.duplicated(["area", "match_key"], keep=False))


def _by_key(books: PeriodBooks, frame: pd.DataFrame) -> pd.DataFrame:
    """With the document's own day, where none is said yet."""
    if frame.empty:
        return frame
    own = frame["key"].astype(object).map(books.scope.days)
    if "date" in frame:
        # A payment of several documents is an item for each of them: its key is no record's.
        own = own.where(own.notna(), frame["date"])
    if "day" in frame:
        own = frame["day"].where(frame["day"].notna(), own)
    return frame.assign(day=own.where(own.notna(), _changed(books, frame)))


def _changed(books: PeriodBooks, frame: pd.DataFrame) -> pd.Series[Any]:
    """The day of the last change, in the link's time zone; where nobody says that, today's."""
    import pandas as pd

    zone = ZoneInfo(books.services.link.time_zone)
    today = books.known_at.astimezone(zone).date()
    if "changed_at" not in frame:
        return pd.Series(today, index=frame.index, dtype=object)
    days = pd.to_datetime(frame["changed_at"], utc=True).dt.tz_convert(zone).dt.date
    return days.astype(object).where(frame["changed_at"].notna(), today)


# --- payments ---------------------------------------------------------------------------------------------------------


def _used(books: PeriodBooks, ledger: pd.DataFrame) -> pd.DataFrame:
    """What is used of a credit, an item for each day on which it was."""
    import pandas as pd

    if ledger.empty:
        return ledger
    whole = ledger["key"].str.startswith("credit_memo:") & ledger["live"]
    if not whole.any():
        return ledger
    uses = _uses(books)
    parts: list[dict[str, Any]] = []
    for row in rows(ledger[whole]):
        parts.extend({**row, "amount": amount, "day": day} for day, amount in uses.get(row["key"], ()))
    kept = ledger[~whole].assign(day=None)
    if not parts:
        return kept
    made = pd.DataFrame(parts)
    for name in ("amount", "scale", "version", "later_days"):
        if name in made:
            made[name] = made[name].astype("Int64")
    return pd.concat([kept, made], ignore_index=True)


def _uses(books: PeriodBooks) -> dict[str, list[tuple[date | None, int]]]:
    """`credit_memo:<id>` -> day and amount of each allocation and refund."""
    found: dict[str, list[tuple[date | None, int]]] = {}
    for row in rows(books.ledger("credit_memo").frame):
        for amount, day in zip(_texts(row["allocated_amounts"]), _texts(row["allocated_on"]), strict=True):
            minor = to_minor(Decimal(amount or "0"), row["currency"])
            found.setdefault(f"credit_memo:{row['credit_memo_id']}", []).append(
                (date.fromisoformat(day) if day else None, minor)
            )
    for row in rows(books.ledger("payment").frame):
        target = row["credit_memo_id"] or row["invoice_id"]
        if row["kind"] == "refund" and row["standing"] != VOID and row["amount_minor"] is not None:
            found.setdefault(f"credit_memo:{target}", []).append((row["date"], row["amount_minor"]))
    return found


def _texts(lines: Any) -> list[str]:
    return lines.split("\n") if isinstance(lines, str) and lines else []


def _shown_as_paid(books: PeriodBooks, crm: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """What the CRM shows as paid or used, an item for each day that it is put on."""
    import pandas as pd

    if crm.empty:
        return crm
    known: dict[tuple[str, str], list[tuple[date, int]]] = {}
    if not ledger.empty:
        live = ledger[ledger["live"]].sort_values(["changed_at", "day", "key"])
        for row in rows(live[["match_key", "currency", "day", "amount"]]):
            known.setdefault((row["match_key"], row["currency"]), []).append((row["day"], row["amount"]))
    last = _changed(books, crm)
    subject = books.subject.entity
    shown = rows(books.crm(f"{subject}_status").frame)
    paid_on = {f"{subject}:{row['_source_id']}": row["invoice_paid_on"] for row in shown}
    parts: list[dict[str, Any]] = []
    for row, changed in zip(rows(crm), last, strict=True):
        left_on = paid_on.get(row["key"]) or changed
        days = pieces(row["amount"], known.get((row["match_key"], row["currency"]), ()), left_on)
        parts.extend({**row, "amount": amount, "day": day} for day, amount in days.items())
    made = pd.DataFrame(parts)
    for name in ("amount", "scale", "version"):
        made[name] = made[name].astype("Int64")
    return made


def pieces(total: int, known: Sequence[tuple[date, int]], left_on: date) -> dict[date, int]:
    """Day -> how much of a sum is put on it.

    Args:
        total: what is shown, in minor units.
        known: day and amount of the ledger's payments, in the order in which they became known; refunds are below 0.
        left_on: the day of what they do not come to.
    """
    sums, so_far = [], 0
    for _, amount in known:
        so_far += amount
        sums.append(so_far)
    found: dict[date, int] = {}
    if total in sums:
        # The latest of those at which the payments came to it.
        for day, amount in known[: len(sums) - sums[::-1].index(total)]:
            found[day] = found.get(day, 0) + amount
        return {day: amount for day, amount in found.items() if amount} or {left_on: total}
    left = total
    for day, amount in known:
        part = min(amount, left)
        if part > 0:
            found[day] = found.get(day, 0) + part
            left -= part
    if left:
        found[left_on] = found.get(left_on, 0) + left
    return {day: amount for day, amount in found.items() if amount} or {left_on: total}


# --- returns ----------------------------------------------------------------------------------------------------------


def _returned(books: PeriodBooks, crm: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """A return on the day of the first credit note that counts; without one, on that of its last change."""
    if crm.empty:
        return crm
    first: dict[str, date] = {}
    if not ledger.empty:
        for row in rows(ledger[ledger["live"]][["match_key", "day"]]):
            known = first.get(row["match_key"])
            first[row["match_key"]] = row["day"] if known is None else min(known, row["day"])
    day = crm["match_key"].astype(object).map(first)
    return crm.assign(day=day.where(day.notna(), _changed(books, crm)))
