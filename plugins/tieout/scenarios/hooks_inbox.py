"""Reads the inbox of webhooks: a delivery is a hint, so the records that it names are read again and staged.

What follows from them is judged by the next run of quote-to-cash, which judges every record whose staged version is
new. However often a record is named, it is read once. Each row of the inbox has one end:

| end | when |
|---|---|
| read | at least one of its records was read again, or is gone; what was ignored of it stands in its message |
| ignored | it names nothing that is staged for this connection: no events, another account, another entity, no id |
| failed | its body is not what the vendor documents, or its records could not be read `MOST_ATTEMPTS` times |
| waiting | its records could not be read this time; it is taken again after a while that doubles |

A record that the vendor does not answer with is not marked as deleted here: the runs ask what was deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.engine import Connection

from tieout.connectors.hooks.notices import Notice, Unreadable
from tieout.connectors.hooks.vendors import HOOKS
from tieout.model.errors import RateLimited
from tieout.model.settings import load_settings
from tieout.scenarios import steps
from tieout.scenarios.extraction import read_again
from tieout.scenarios.services import Services, Side, find_link
from tieout.scenarios.steps import Numbers
from tieout.store import hooks, runs, staging
from tieout.store.engine import connect
from tieout.store.hooks import End, Taken

NAME = "webhooks"

#: Rows that one reading takes: a storm of notices becomes one reading of each record.
MOST_ROWS = 20_000
#: After so many times that its records could not be read, a row waits for a person.
MOST_ATTEMPTS = 8
#: Seconds until a row is taken again, doubled with each attempt: 8 attempts are about two hours.
FIRST_WAIT = 60.0

#: What is read: connection and entity.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Understood:
    """One row: what is to be read for it, and what of it is not (reason -> how often)."""

    row: Taken
    wanted: Mapping[Place, frozenset[str]] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of the reading of one entity."""

    gone: frozenset[str] = frozenset()
    error: Exception | None = None


def connections(services: Services) -> tuple[str, ...]:
    """The link's connections whose vendors send webhooks that Tieout understands."""
    return tuple(side.name for side in (services.crm, services.ledger) if side.system in HOOKS)


def waiting(link_name: str) -> int:
    """How many rows a reading of the link would take, and those too old are forgotten: no connection is opened.

    Raises:
        ConfigurationFault: there is no such link, or no database.
    """
    settings = load_settings()
    link = find_link(settings, link_name)
    pairs = ((link.crm, link.crm_system), (link.ledger, link.ledger_system))
    engine = connect(settings.require_database_url(), pool_size=1)
    try:
        with engine.begin() as conn:
            hooks.forget(conn, settings.hook_days)
            return hooks.due(conn, [name for name, system in pairs if system in HOOKS])
    finally:
        engine.dispose()


def read(services: Services, trigger: str = "cli", airflow_ids: tuple[str, str] | None = None) -> Numbers:
    """Reads again what the link's waiting rows name, and forgets what is too old.

    Returns:
        `rows` taken and how many of them ended `read`, `ignored`, `failed`, `waiting`; `records` read, of which `gone`
        did not come; `forgotten` rows. With `rows` 0 no run was opened, and there is no `run_id`.

    Raises:
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: by a connector, when the rows are written down:
            they wait, or have failed for good.
    """
    with services.engine.begin() as conn:
        forgotten, unread = hooks.forget(conn, services.settings.hook_days)
    numbers: Numbers = {"rows": 0, "forgotten": forgotten, "forgotten_unread": unread}
    # The rows stay locked until they are settled: a reader that is killed leaves them as they were, and two readers
    # never have the same ones.
    with services.engine.begin() as inbox:
        taken = hooks.take(inbox, connections(services), MOST_ROWS)
        if not taken:
            return numbers
        run = UUID(steps.start(services, NAME, trigger, airflow_ids=airflow_ids))
        with services.engine.begin() as conn:
            runs.begin_step(conn, run, "read")
        understood = list(_understand(services, inbox, taken))
        outcomes = _read(services, understood, run)
        ends = [_end(one, outcomes) for one in understood]
        hooks.settle(inbox, ends, run)
    numbers |= {"run_id": str(run), "rows": len(ends), **_counts(ends)}
    numbers["records"] = sum(len(ids) for ids in _wanted(understood).values())
    numbers["gone"] = sum(len(outcome.gone) for outcome in outcomes.values())
    broken = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    # Numbers of a step: no documents were judged, so there is no account of the run to be closed.
    with services.engine.begin() as conn:
        runs.end_step(conn, run, "read", numbers)
    steps.finish(services, run, "partial" if broken or numbers["failed"] else "succeeded", {})
    if broken:
        # A limit says when to come back; of the rest, the first stands for all.
        raise next((error for error in broken if isinstance(error, RateLimited)), broken[0])
    return numbers


def _counts(ends: Sequence[End]) -> dict[str, int]:
    count = Counter(end.state for end in ends)
    return {state: count[state] for state in ("read", "ignored", "failed", "waiting")}


def _understand(services: Services, inbox: Connection, taken: Sequence[Taken]) -> Iterator[_Understood]:
    """Each row with the records that it names, by the places where they are staged."""
    rows = {row.hook_id: row for row in taken}
    sides = {side.name: side for side in (services.crm, services.ledger)}
    for hook_id, body in hooks.bodies(inbox, list(rows)):
        row = rows[hook_id]
        side = sides[row.connection]
        try:
            notices = HOOKS[side.system].notices(body)
        except Unreadable as error:
            yield _Understood(row, fault=str(error))
            continue
        yield _sorted(row, side, notices)


def _sorted(row: Taken, side: Side, notices: Sequence[Notice]) -> _Understood:
    ids: dict[Place, set[str]] = {}
    ignored: Counter[str] = Counter()
    for notice in notices:
        entities = _entities(side, notice.object)
        why_not = _why_not(row, side, notice, entities)
        if why_not is not None:
            ignored[why_not] += 1
            continue
        for entity in entities:
            ids.setdefault((side.name, entity), set()).add(notice.id)
    return _Understood(row, {place: frozenset(found) for place, found in ids.items()}, ignored)


def _why_not(row: Taken, side: Side, notice: Notice, entities: Sequence[str]) -> str | None:
    if row.account and notice.account and notice.account != row.account:
        return "is of another account of the vendor"
    if not entities:
        return f"is of {notice.object[:60]}, which {side.name} does not stage by itself: the runs read what they need"
    if not HOOKS[side.system].id.fullmatch(notice.id):
        return "has no id of a record"
    return None


def _entities(side: Side, name: str) -> list[str]:
    """The staged entities that are made of this object as it is.

    One that is a part of an object ("tickets in pipeline returns", "line_items of orders") is left to the runs: of an
    id alone nobody can say whether it belongs to that part.
    """
    return [entity for entity, mapping in side.mappings.items() if mapping.is_staged and mapping.object == name]


def _wanted(understood: Sequence[_Understood]) -> dict[Place, set[str]]:
    wanted: dict[Place, set[str]] = {}
    for one in understood:
        for place, ids in one.wanted.items():
            wanted.setdefault(place, set()).update(ids)
    return wanted


def _read(services: Services, understood: Sequence[_Understood], run: UUID) -> dict[Place, _Outcome]:
    """Reads each record once. An entity that cannot be read does not hinder the others."""
    sides = {side.name: side for side in (services.crm, services.ledger)}
    outcomes: dict[Place, _Outcome] = {}
    for (name, entity), ids in sorted(_wanted(understood).items()):
        try:
            with services.engine.begin() as conn:
                staging.ensure(conn, sides[name].mappings[entity].staged_entity())
            outcomes[name, entity] = _Outcome(read_again(services, sides[name], entity, sorted(ids), run))
        except Exception as error:  # noqa: BLE001 - written down on each row, and raised again when all are settled
            outcomes[name, entity] = _Outcome(error=error)
    return outcomes


def _end(one: _Understood, outcomes: Mapping[Place, _Outcome]) -> End:
    row = one.row
    if one.fault is not None:
        return End(row.hook_id, "failed", f"unreadable: {one.fault}", row.attempts + 1)
    errors = [error for place in one.wanted if (error := outcomes[place].error) is not None]
    if errors:
        return _again(row, errors[0])
    said = [f"{count} of its events: {why}" if count > 1 else f"an event {why}" for why, count in one.ignored.items()]
    if not one.wanted:
        return End(row.hook_id, "ignored", "; ".join(said) or "no events: the vendor tried the address", row.attempts)
    gone = sum(len(ids & outcomes[place].gone) for place, ids in one.wanted.items())
    if gone:
        said.append(f"{gone} of its records are not there (any more)")
    return End(row.hook_id, "read", "; ".join(said) or None, row.attempts + 1)


def _again(row: Taken, error: Exception) -> End:
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, RateLimited):  # the vendor is well, and only asks us to wait: no attempt
        return End(row.hook_id, "waiting", why, row.attempts, error.retry_after)
    attempts = row.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        return End(row.hook_id, "failed", f"given up after {attempts} attempts: {why}", attempts)
    return End(row.hook_id, "waiting", why, attempts, FIRST_WAIT * 2 ** (attempts - 1))
