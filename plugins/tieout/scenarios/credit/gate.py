"""The gate of quote-to-cash: an order that takes its customer above its limit waits for room, or for a person.

What counts against a limit: what all who share it owe, invoices that are not approved yet, invoices of ours that are on
their way, and the orders of the same run that were let through before. All with tax. A record's own earlier invoice
does not count against it, and a change that asks for no more than before always passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tieout.model.errors import Retriable
from tieout.model.money import from_minor, tax_minor
from tieout.scenarios.billing import Bill, Hold, Rules
from tieout.scenarios.credit import ledger_book
from tieout.scenarios.credit.balances import RateUnknown, balance
from tieout.scenarios.credit.ledger_book import Book
from tieout.scenarios.credit.policy import Shared
from tieout.scenarios.plans import BILLED, Plan
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services
from tieout.store import credit
from tieout.store.credit import Release
from tieout.store.crosswalk import NewLink


@dataclass(frozen=True, slots=True)
class InFlight:
    """An invoice of ours that the ledger's staged documents do not show yet. `gross_minor` of `currency`."""

    doc_uid: str
    source_id: str
    account_id: str
    currency: str
    gross_minor: int


@dataclass(frozen=True)
class Passed:
    """What was looked at in one chunk, so that it can be kept and checked when the chunk is committed.

    Attributes:
        accounts: whose credit was looked at, with all who share it.
        in_flight: doc_uids that were on their way then.
        released: source id -> the release that lets it go.
    """

    accounts: tuple[str, ...] = ()
    in_flight: frozenset[str] = frozenset()
    released: Mapping[str, Release] = field(default_factory=dict)


class Ahead:
    """What was let through chunk by chunk and is not committed: a plan counts it as if it were.

    The ledger's book is read once: while a plan is made, nothing of it is posted.
    """

    def __init__(self, services: Services, rules: Rules) -> None:
        self._services, self._rules = services, rules
        self._book: Book | None = None
        self._billed: dict[str, list[InFlight]] = defaultdict(list)  # by account
        self._cancelled: set[str] = set()  # doc_uids
        self._linked: dict[str, str] = {}  # account -> the ledger's customer

    def book(self) -> Book:
        """The ledger's, with the customers that would be linked by now."""
        if self._book is None:
            self._book = ledger_book.load(self._services)
        return replace(self._book, customers={**self._book.customers, **self._linked})

    def flying(self, stored: Iterable[InFlight], accounts: Iterable[str]) -> list[InFlight]:
        """What would be on its way for these accounts by now.

        Args:
            stored: what is.
        """
        return [one for one in stored if one.doc_uid not in self._cancelled] + [
            one for account in accounts for one in self._billed.get(account, ())
        ]

    def add(self, plans: Sequence[Plan], links: Sequence[NewLink]) -> None:
        """Counts a chunk: its final plans, and the customers that it links."""
        if self._services.link.policies.credit == "off":
            return
        self._linked.update((link.source_id, link.vendor_id) for link in links)
        for plan in plans:
            if plan.live and plan.steps and plan.steps[0] in (Step.SUPERSEDE, Step.CANCEL):
                self._cancelled.add(plan.live.intent["doc_uid"])
            if plan.bill and plan.steps and plan.steps[0] in BILLED:
                bill, source_id = plan.bill, plan.judgement.source_id
                minor = gross_of(bill, self._rules.tax_rates)
                self._billed[bill.account_id].append(InFlight("", source_id, bill.account_id, bill.currency, minor))


def checked(
    services: Services, plans: Sequence[Plan], rules: Rules, ahead: Ahead | None = None
) -> tuple[list[Plan], Passed]:
    """The plans; those that go beyond their customer's credit are held. Nothing happens while the link says `off`.

    Plans are taken by posting date, number and id, whatever their order: the oldest gets the room that is left.

    Args:
        ahead: what counts beside what is stored; None where each chunk is committed before the next is looked at.
    """
    asking = [plan for plan in plans if plan.bill is not None and plan.steps and plan.steps[0] in BILLED]
    if services.link.policies.credit == "off" or not asking:
        return list(plans), Passed()
    book = ledger_book.load(services) if ahead is None else ahead.book()
    accounts = sorted({one for plan in asking if plan.bill for one in book.policy.members_of(plan.bill.account_id)})
    with services.engine.connect() as conn:
        flying = in_flight(conn, services, accounts, rules.tax_rates)
        ids = [plan.judgement.source_id for plan in asking]
        released = credit.releases(conn, services.link.name, _entity(services), ids)
    if ahead is not None:
        flying = ahead.flying(flying, accounts)
    gate = _Gate(services, book, rules, flying)
    holds: dict[str, Hold] = {}
    used: dict[str, Release] = {}
    for plan in sorted(asking, key=_age):
        hold = gate.ask(plan)
        if hold is None:
            continue
        given = _release_for(plan, released.get(plan.judgement.source_id, ()))
        if given is None:
            holds[plan.judgement.source_id] = hold
        else:
            used[plan.judgement.source_id] = given
            gate.let_go(plan)
    judged = [
        plan.held(holds[plan.judgement.source_id]) if plan.judgement.source_id in holds else plan for plan in plans
    ]
    return judged, Passed(tuple(accounts), frozenset(one.doc_uid for one in flying), used)


def keep(conn: Connection, services: Services, passed: Passed, doc_uids: Mapping[str, str | None]) -> None:
    """In the chunk's transaction, before its intents are added: nobody else took the room meanwhile; releases are used.

    Args:
        doc_uids: source id -> the invoice that it is billed by.

    Raises:
        Retriable: another run let orders of these customers through, or used a release; the next try sees it.
    """
    if not passed.accounts:
        return
    conn.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"credit:{services.link.name}"}
    )
    now = {one.doc_uid for one in in_flight(conn, services, passed.accounts, {})}
    if not now <= passed.in_flight:
        raise Retriable("another run billed customers whose credit was just looked at")
    for source_id, given in passed.released.items():
        uid = doc_uids.get(source_id)
        if uid is None:
            continue  # its invoice could not be made: the release stays
        if not credit.use(conn, services.link.name, given.release_id, uid, services.actor):
            raise Retriable(f"the release of {source_id} was used by another run at the same time")


def gross(lines: Sequence[tuple[int, str, int | None]], tax_rates: Mapping[str, Decimal]) -> int:
    """Minor units with tax, as the ledger computes it: each line's tax rounded. `lines`: (net, tax type, given tax)."""
    return sum(
        net + (given if given is not None else int(tax_minor(net, tax_rates[kind])) if kind in tax_rates else 0)
        for net, kind, given in lines
    )


def gross_of(bill: Bill, tax_rates: Mapping[str, Decimal]) -> int:
    """What the customer will owe by this bill."""
    return gross([(line.net_minor, line.tax_code, line.tax_minor) for line in bill.lines], tax_rates)


def in_flight(
    conn: Connection, services: Services, accounts: Sequence[str], tax_rates: Mapping[str, Decimal]
) -> list[InFlight]:
    """Invoices of ours for these accounts that are planned, under way, uncertain or held, or not staged yet."""
    table = services.ledger.mappings["invoice"].staged_entity().table
    found = conn.execute(
        text(
            f"""
            select i.doc_uid, i.source_id, i.currency, i.frozen -> 'bill' as bill from tieout.intent i
            where i.link = :link and i.target = :ledger and i.kind = 'invoice'
              and i.frozen -> 'bill' ->> 'account' = any(:accounts)
              and (i.state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN', 'HELD')
                or (i.state = 'CONFIRMED' and not exists (select from staging.{table} s
                    where s._connection = i.target and s._source_id = i.vendor_id)))
            order by i.doc_uid
            """  # noqa: S608 - the table's name comes from StagedEntity
        ),
        {"link": services.link.name, "ledger": services.ledger.name, "accounts": list(accounts)},
    )
    return [
        InFlight(row.doc_uid, row.source_id, row.bill["account"], row.currency, _gross_of_content(row.bill, tax_rates))
        for row in found
    ]


class _Gate:
    """The room that is left in each limit while one chunk is judged."""

    def __init__(self, services: Services, book: Book, rules: Rules, flying: Sequence[InFlight]) -> None:
        self._services, self._book, self._rules = services, book, rules
        self._flying: dict[str, list[InFlight]] = defaultdict(list)  # by account
        for one in flying:
            self._flying[one.account_id].append(one)
        self._let_through: dict[str, int] = defaultdict(int)  # holder -> minor units of the limit's currency
        self._counted: dict[str, int] = {}  # the same, of what counted before this chunk

    def ask(self, plan: Plan) -> Hold | None:
        """Lets the plan through and takes its room, or says why not. Where the link fails open, doubt lets through."""
        bill = _bill(plan)
        shared = self._book.policy.limits.get(bill.account_id)
        try:
            doubt = self._doubt(shared)
            if doubt is None and shared is not None:
                return self._compare(plan, bill, shared)
        except RateUnknown as error:
            doubt = _unsure(
                "credit_unknown", str(error), "a rate", "enter the rate in the CRM, or wait for the ledger's"
            )
        return None if self._services.link.policies.credit_fails == "open" else doubt

    def let_go(self, plan: Plan) -> None:
        """Takes the room of a plan that a person released, as far as that can be said."""
        bill = _bill(plan)
        shared = self._book.policy.limits.get(bill.account_id)
        if shared is None:
            return
        try:
            self._let_through[shared.holder] += self._more(plan, bill, shared)
        except RateUnknown:
            return  # what it takes cannot be said; whoever comes next in this currency is stopped for the same reason

    def _doubt(self, shared: Shared | None) -> Hold | None:
        """Why nothing certain can be said of a credit."""
        book, hours = self._book, self._services.link.policies.credit_max_age_hours
        if shared is None:
            return _unsure(
                "credit_limit_missing", "its customer has no approved credit limit", "a limit in force",
                "`tieout credit import` one and have it approved, or release the order",
            )  # fmt: skip
        if book.read_at is None or book.now - book.read_at > timedelta(hours=hours):
            when = "never" if book.read_at is None else f"{book.read_at:%Y-%m-%d %H:%M} UTC"
            return _unsure(
                "credit_data_stale", f"the ledger was last read {when}", f"data of the last {hours} hours",
                "run quote-to-cash or credit-sync with its extract step",
            )  # fmt: skip
        for member in shared.members:
            if (found := book.doubt_of(member)) is not None:
                words = f"the balance of account {member} cannot be relied on: {found[1]}"
                remedy = f"{found[0]}: it is read again with the next run"
                return _unsure("credit_unknown", words, "documents whose figures agree", remedy)
        return None

    def _compare(self, plan: Plan, bill: Bill, shared: Shared) -> Hold | None:
        more = self._more(plan, bill, shared)
        owed = self._all_owed(shared) + self._let_through[shared.holder]
        if more > 0 and owed + more > shared.limit_minor:
            left = from_minor(shared.limit_minor - owed, shared.currency)
            asked = from_minor(more, shared.currency)
            return Hold(
                "credit_exceeded", f"it asks for {asked} {shared.currency} more and {left} of the credit is left",
                f"at most {left} {shared.currency}", f"{asked} {shared.currency} with tax",
                f"wait for a payment, raise the limit, or `tieout credit release {plan.judgement.source_number}`",
            )  # fmt: skip
        self._let_through[shared.holder] += more
        return None

    def _more(self, plan: Plan, bill: Bill, shared: Shared) -> int:
        """What the plan adds to what counts already, in the limit's currency."""
        asked = self._convert(gross_of(bill, self._rules.tax_rates), bill.currency, shared)
        own = plan.live.intent["vendor_id"] if plan.live else None
        if plan.live is None:
            return asked
        return asked - (self._all_owed(shared) - self._owed(shared, (plan.judgement.source_id, own)))

    def _all_owed(self, shared: Shared) -> int:
        if shared.holder not in self._counted:
            self._counted[shared.holder] = self._owed(shared, ())
        return self._counted[shared.holder]

    def _owed(self, shared: Shared, without: tuple[str | None, ...]) -> int:
        """What counts against a limit in the ledger and on its way, without these documents and sources."""
        total, book = 0, self._book
        for member in shared.members:
            items = [item for item in book.items_of(member) if item.document_id not in without]
            theirs = balance(items, shared.currency, book.today, book.rates)
            total += theirs.open_minor + theirs.draft_minor
        flying: dict[str, int] = defaultdict(int)
        for member in shared.members:
            for one in self._flying.get(member, ()):
                if one.source_id not in without:
                    flying[one.currency] += one.gross_minor
        return total + sum(self._convert(minor, currency, shared) for currency, minor in flying.items())

    def _convert(self, minor: int, currency: str, shared: Shared) -> int:
        return self._book.rates.convert(minor, currency, shared.currency)


def _gross_of_content(content: Mapping[str, Any], tax_rates: Mapping[str, Decimal]) -> int:
    lines = [(line["net_minor"], line["tax"], line["tax_minor"]) for line in content["lines"]]
    return gross(lines, tax_rates)


def _release_for(plan: Plan, given: Sequence[Release]) -> Release | None:
    """The first release that covers the bill: of its currency, and of no less than its net."""
    bill = _bill(plan)
    return next((one for one in given if one.currency == bill.currency and one.amount_minor >= bill.net_minor), None)


def _age(plan: Plan) -> tuple[Any, ...]:
    return (_bill(plan).original_date, plan.judgement.source_number or "", plan.judgement.source_id)


def _bill(plan: Plan) -> Bill:
    if plan.bill is None:
        raise ValueError(f"{plan.judgement.source_id}: a step that bills needs a bill")
    return plan.bill


def _entity(services: Services) -> str:
    return "order" if services.link.policies.trigger == "order_activated" else "opportunity"


def _unsure(reason: str, message: str, expected: str, remedy: str) -> Hold:
    return Hold(reason, message, expected, "none that can be relied on", remedy)
