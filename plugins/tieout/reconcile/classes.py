"""The classes of differences: what each means, the one rule that decides it, in which order, and what mends it.

The rules are conditions in SQL over one row of `recon_found` (differences.py), whose facts are named there. The first
class whose rule holds is the difference's class; the last one takes what is left, so that there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Class:
    """One class of differences.

    Attributes:
        name: as it stands in `tieout.break.class`.
        words: for people.
        meaning: what it says about the records.
        rule: the condition in words; docs/reconciliation.md shows it.
        when: the same in SQL over the facts of a difference.
        fixes: what it can propose, the usual one first; a person approves it.
    """

    name: str
    words: str
    meaning: str
    rule: str
    when: str
    fixes: tuple[str, ...] = ()


#: In the order in which they are asked.
ORDERED: tuple[Class, ...] = (
    Class(
        "rejected_or_held", "Rejected or held by us",
        "Tieout knows the record and has not carried it over: it is in quarantine, held for a person, or was refused.",
        "an open dead letter or a held or refused write of one of its records, or it cannot be read",
        "held is not null", ("resend",),
    ),
    Class(
        "in_transit", "In transit",
        "The other side will have it with the next run, or has it dated after the day of the report.",
        "a write of one of its records is not confirmed yet; or what a sync will carry over changed within "
        "`cut_off_hours`; or the other side is dated after the report's day by no more than `days`",
        "pending is not null or recent or (later_days is not null and later_days <= days)",
    ),
    Class(
        "unapplied_cash", "Unapplied cash or credit",
        "Money or credit of a customer that stands in the ledger and is set against nothing.",
        "a payment that names no invoice, a refund that names no credit note, or a credit that the CRM shows as used "
        "and the ledger shows as open",
        "unapplied",
    ),
    Class(
        "duplicate", "Duplicate",
        "The ledger has the same twice.",
        "the ledger's record is alone, and another one of the same customer, currency and amount within `days` stands "
        "for a record of the CRM; or a document has two payments of one amount on one day, and the CRM shows one",
        "twin is not null", ("void_duplicate",),
    ),
    Class(
        "closed_period_change", "Change in a closed period",
        "What belongs to a period that the ledger has locked or the link has closed was changed afterwards.",
        "an amount differs, its date is locked in the ledger or in a period that the link has closed, and one of the "
        "records changed after the locked day, or since the period was closed",
        "in_closed_period and component in ('amount', 'tax', 'presence', 'currency') and a_known and b_known "
        "and later_days is null",
    ),
    Class(
        "voided_or_deleted", "Voided or deleted",
        "One side took back or deleted what the other still has.",
        "one side counts, and the other had it: voided, cancelled, deleted, credited as a whole, or vanished",
        "component = 'presence' and a_known and b_known and later_days is null", ("resend",),
    ),
    Class(
        "date", "Date or period",
        "Both have it, with dates that are not the same, or on both sides of the report's day.",
        "the two dates differ, or one side is dated after the report's day by more than `days`",
        "component in ('date', 'paid_on') or later_days is not null",
    ),
    Class(
        "missing_in_finance", "Missing in finance",
        "The CRM has it, the ledger never had it.",
        "only the CRM has it, and no crosswalk says that the ledger had it",
        "component in ('presence', 'price', 'stock', 'balance', 'limit', 'available') and a_live and not b_live",
        ("resend",),
    ),
    Class(
        "missing_in_crm", "Missing in the CRM",
        "The ledger has it, and nothing of the CRM stands behind it.",
        "only the ledger has it, and no crosswalk says that the CRM had it",
        "component in ('presence', 'price', 'stock', 'balance', 'limit', 'available') and b_live and not a_live",
        ("relink",),
    ),
    Class(
        "currency", "Currency",
        "The two sides are in different currencies: each side's whole amount is a difference in its own.",
        "the currencies of the two sides differ",
        "component like 'currency%'",
    ),
    Class(
        "truncated", "Cut off",
        "A text was cut on one side.",
        "the number on one side is the beginning of the other's",
        "component = 'number' and cut_off",
    ),
    Class(
        "unlinked", "Not linked",
        "Both have it, and they do not know each other by the crosswalk, or not by the right number.",
        "they were matched by a rule, or the document's number in the CRM is not the ledger's",
        "component in ('link', 'number')", ("relink",),
    ),
    Class(
        "customer", "Customer",
        "The document stands on another customer than the record of the CRM.",
        "the customers of the two sides differ",
        "component = 'customer'",
    ),
    Class(
        "rate", "Exchange rate",
        "The document was booked at another rate than the CRM states.",
        "the CRM states a rate (`policies.exchange_rate: crm`), and the ledger's differs",
        "component = 'rate'",
    ),
    Class(
        "stale_credit", "Stale credit data",
        "What the CRM shows of a customer's credit is older than what finance has.",
        "a balance, limit or available credit differs, and the ledger or the limit changed after the last credit sync "
        "began",
        "area in ('balances', 'credit') and stale",
    ),
    Class(
        "rounding", "Rounding",
        "A cent or two that come from rounding.",
        "money differs by no more than `rounding_minor`, and nothing above explains it",
        "amount <> 0 and abs(amount) <= rounding and area not in ('prices', 'stock')", ("write_off",),
    ),
    Class(
        "tax", "Tax",
        "The ledger's tax is not the one that the CRM expects.",
        "the area is tax",
        "area = 'tax'",
    ),
    Class(
        "status", "Status",
        "What the CRM shows of a document or product is not what the ledger says; the amounts are the same.",
        "status, total, amount due, or whether it is active differs",
        "component in ('status', 'total', 'due')",
    ),
    Class(
        "amount", "Amount",
        "Both have it, with amounts that are not the same.",
        "what is left",
        "true",
    ),
)  # fmt: skip

CLASSES: dict[str, Class] = {one.name: one for one in ORDERED}


def decision() -> str:
    """The CASE that decides, over the facts of a difference."""
    whens = "\n".join(f"    when {one.when} then '{one.name}'" for one in ORDERED)
    return f"case\n{whens}\nend"
