"""`tieout doctor`: is everything reachable, allowed and configured, and what is to be done where it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC

from sqlalchemy import text

from tieout.connectors.base import Finding
from tieout.connectors.outside import Outside
from tieout.connectors.registry import capabilities
from tieout.connectors.registry import connect as connect_system
from tieout.connectors.requirements import FieldNeed, Required
from tieout.mapping.lint import lint
from tieout.mapping.load import apply_overrides, load_calendar, load_system
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.connection import Connection
from tieout.model.errors import TieoutError
from tieout.model.link import Link
from tieout.model.settings import Settings
from tieout.scenarios import pairs
from tieout.scenarios.credentials import from_environment
from tieout.scenarios.periods import locks
from tieout.scenarios.services import find_link
from tieout.scenarios.sweep import last_sweep, overdue
from tieout.scenarios.tokens import opened_shelf
from tieout.store import migrate
from tieout.store.engine import connect as connect_store


def examine(
    settings: Settings, link_name: str, connections: Callable[[str], Connection] | None = None
) -> Iterator[Finding]:
    """Findings in the order in which they are mended: store, link, then mappings and system of CRM and ledger."""
    yield from _guarded("database", _store(settings))
    try:
        link = find_link(settings, link_name)
    except TieoutError as error:
        yield Finding(False, f"link: {error}", "mend the file")
        return
    yield Finding(True, f"link {link.name}: {link.crm} -> {link.ledger}, books in {link.base_currency}")
    yield from _guarded("pair", _pair(settings, link))
    get = connections or (lambda name: from_environment(name, settings))
    for system, name, needs in (
        (link.crm_system, link.crm, _crm_needs),
        (link.ledger_system, link.ledger, _ledger_needs),
    ):
        yield from _guarded(f"mappings of {system}", _mappings(settings, link, system))
        yield from _guarded(name, _system(settings, link, name, get, needs))
    yield from _guarded("sweep", _sweep(settings, link))
    yield from _guarded("fiscal periods", _periods(settings, link))


def _guarded(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings; what stops them is one more finding."""
    try:
        yield from findings
    except TieoutError as error:
        yield Finding(False, f"{what}: {error}", "see the message")


def _store(settings: Settings) -> Iterator[Finding]:
    engine = connect_store(settings.require_database_url())
    with engine.connect() as conn:
        version = conn.execute(text("show server_version")).scalar_one()
    yield Finding(True, f"database: PostgreSQL {version}")
    at, head = migrate.current(engine), migrate.head()
    engine.dispose()
    yield Finding(at == head, f"schema at {at}, newest is {head}", "" if at == head else "run `tieout migrate`")


def _sweep(settings: Settings, link: Link) -> Iterator[Finding]:
    """Whether duplicates are looked for as often as the link promises; nothing to say before the first posting."""
    engine = connect_store(settings.require_database_url())
    try:
        with engine.connect() as conn:
            posted = conn.execute(
                text("select exists (select from tieout.intent where link = :link and target = :target and sends > 0)"),
                {"link": link.name, "target": link.ledger},
            ).scalar_one()
            last = last_sweep(conn, link)
            late = overdue(link, last, conn.execute(text("select now()")).scalar_one())
    finally:
        engine.dispose()
    if posted:
        when = f"up to {last.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if last else "never"
        promise = f"duplicates are found within {link.sweep_within_hours} h"
        yield Finding(not late, f"{promise}: swept {when}", f"run `tieout sweep {link.name}`" if late else "")


def _periods(settings: Settings, link: Link) -> Iterator[Finding]:
    """The fiscal calendar, and whether our closed periods and the ledger's lock dates (as read last) go together."""
    calendar = load_calendar(settings.include, link.calendar)
    engine = connect_store(settings.require_database_url())
    try:
        with engine.connect() as conn:
            found = locks.standing(conn, settings, link, calendar)
    finally:
        engine.dispose()
    yield Finding(True, f"fiscal calendar {calendar.name}. {locks.in_words(found.lock_dates)}")
    until = max(found.lock_dates.values(), default=None)
    if wrong := locks.left_open(found.lines, until):
        yield Finding(False, wrong, "finance sets the ledger's lock date, Tieout never does")
    if wrong := locks.locked_ahead(until, found.today):
        yield Finding(False, wrong, "finance sets the ledger's lock date, Tieout never does")
    # Not wrong: what is dated there waits, or goes into the next open period, as the link says.
    if told := locks.left_unclosed(found.lines, until):
        yield Finding(True, told)


def _mappings(settings: Settings, link: Link, system: str) -> Iterator[Finding]:
    found = lint(_loaded(settings, link, system).values(), link)
    errors = [finding for finding in found if finding.severity == "error"]
    for finding in errors:
        yield Finding(False, str(finding), "mend the mapping; `tieout mapping lint` shows all")
    if not errors:
        yield Finding(True, f"mappings of {system}: {len(found)} warnings")


def _pair(settings: Settings, link: Link) -> Iterator[Finding]:
    """Whether the two systems can do what the link asks for."""
    crm, ledger = (_loaded(settings, link, system) for system in (link.crm_system, link.ledger_system))
    pairs.check(link, capabilities(link.crm_system), capabilities(link.ledger_system), crm, ledger)
    yield Finding(True, f"{link.crm_system} and {link.ledger_system} can do what the link asks for")


def _loaded(settings: Settings, link: Link, system: str) -> dict[str, EntityMapping]:
    loaded = load_system(settings.include / "mappings", system)
    return {entity: apply_overrides(mapping, link) for entity, mapping in loaded.items()}


def _system(
    settings: Settings,
    link: Link,
    name: str,
    connections: Callable[[str], Connection],
    needs: Callable[[Settings, Link], Required],
) -> Iterator[Finding]:
    connection = connections(name)
    with (
        opened_shelf(settings, connection) as shelf,
        closing(connect_system(connection, Outside(shelf=shelf))) as connector,
    ):
        for finding in connector.findings(needs(settings, link)):
            yield Finding(finding.ok, f"{name}: {finding.what}", finding.remedy)


def _crm_needs(settings: Settings, link: Link) -> Required:
    """Every field of a set-up that a mapping reads or writes; those of credit and returns where the link uses them."""
    ours = re.compile(capabilities(link.crm_system).set_up)
    fields: dict[str, dict[str, FieldNeed]] = {}
    create: set[str] = set()
    used = {
        "credit": link.policies.credit != "off" or link.schedules.credit_sync is not None,
        # Not every organisation has return orders (Order Management, Field Service).
        "return_order": link.schedules.returns is not None,
        "return_order_line": link.schedules.returns is not None,
    }
    for mapping in _loaded(settings, link, link.crm_system).values():
        if not used.get(mapping.entity, True):
            continue
        written = set(mapping.write)
        read = {column.path for column in mapping.staged.values()}
        if written and not mapping.is_staged:
            create.add(mapping.object)
        for name in sorted(written | read):
            if ours.fullmatch(name):
                need = FieldNeed(writable=name in written, unique=name == f"{mapping.object.removesuffix('__c')}_Id__c")
                fields.setdefault(mapping.object, {})[name] = need
    return Required(fields=fields, create=frozenset(create))


def _ledger_needs(settings: Settings, link: Link) -> Required:
    returned = {link.returns.fee_account, link.returns.damaged_account} - {None}
    return Required(
        currencies=frozenset({link.base_currency}),
        accounts=frozenset({link.revenue_account, *link.product_accounts.values(), *map(str, returned)}),
        paid_from=frozenset({link.returns.refund_account} if link.returns.refund_account else ()),
        tax_types=frozenset(link.tax_codes.values()),
    )
