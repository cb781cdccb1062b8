"""The credit policy that finance owns: limits with their history, changes that a second person approves, releases.

Here: the rows, who may decide, the audit. What a limit means for an order is in scenarios/credit. The database keeps
the rules too: the migration that made these tables. Amounts in minor units of the row's currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.errors import ConfigurationFault, Fatal
from tieout.store import audit
from tieout.store.credit_tables import credit_change, credit_limit, credit_release

#: Rows of one change: what is approved at once has to fit before one pair of eyes, and into one transaction.
MOST_ROWS = 100_000


class NotAllowed(Fatal):
    """The change cannot be decided so; the message says why."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one customer may owe from a day on: an amount of its own, or a share of another customer's.

    Attributes:
        account_id: the CRM's account.
        valid_from: the first day, in the link's time zone.
        currency, limit_minor: None where the customer shares another's limit.
        shares_with: the account whose limit it shares; None where it has its own.
        line: of the file that it came in with.
    """

    account_id: str
    valid_from: date
    currency: str | None = None
    limit_minor: int | None = None
    shares_with: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Limits that somebody proposed together, and what became of the proposal."""

    change_id: int
    link: str
    source: str
    proposed_by: str
    proposed_at: datetime
    state: Literal["proposed", "approved", "refused"]
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A person lets one order of one amount go, once, although its customer's credit does not cover it."""

    release_id: int
    source_id: str
    currency: str
    amount_minor: int


_CHANGE = [credit_change.c[name] for name in Change.__dataclass_fields__ if name != "limits"]
_LIMIT = [credit_limit.c[name] for name in Limit.__dataclass_fields__]


def propose(conn: Connection, link: str, limits: Sequence[Limit], by: str, source: str) -> int:
    """Keeps a change until another person decides; returns its id. Audited.

    Args:
        source: where the limits come from, such as the file's name.

    Raises:
        ConfigurationFault: nothing is proposed, too much for one decision, or nobody's name is given.
    """
    if not limits or len(limits) > MOST_ROWS:
        raise ConfigurationFault(f"{len(limits)} limits in one change; expected 1 to {MOST_ROWS}")
    if not by.strip():
        raise ConfigurationFault("a change of limits needs the name of who proposes it")
    values = {"link": link, "source": source, "proposed_by": by.strip()}
    made: int = conn.execute(
        sa.insert(credit_change).values(**values).returning(credit_change.c.change_id)
    ).scalar_one()
    conn.execute(sa.insert(credit_limit), [{**asdict(limit), "change_id": made} for limit in limits])
    _note(conn, link, by, "credit.proposed", made, {"source": source, "limits": len(limits)})
    return made


def decide(conn: Connection, change_id: int, by: str, *, approved: bool, note: str = "") -> Change:
    """A person approves or refuses a change; audited with every limit. Who made it may refuse it, not approve it.

    Raises:
        NotAllowed: there is none, it is decided already, no name is given, or the approver made it.
    """
    query = sa.select(*_CHANGE).where(credit_change.c.change_id == change_id).with_for_update()
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotAllowed(f"there is no change {change_id} of credit limits")
    found = Change(**row._mapping, limits=tuple(_limits(conn, [change_id])))
    if not by.strip():
        raise NotAllowed("a decision needs the name of the person who makes it")
    if found.state != "proposed":
        raise NotAllowed(f"change {change_id} is {found.state} by {found.decided_by}")
    if approved and by.strip().casefold() == found.proposed_by.strip().casefold():
        raise NotAllowed(f"change {change_id} was made by {found.proposed_by}: another person approves it")
    state = "approved" if approved else "refused"
    conn.execute(
        sa.update(credit_change).where(credit_change.c.change_id == change_id).values(
            state=state, decided_by=by.strip(), decided_at=sa.func.now(), note=note.strip() or None)
    )  # fmt: skip
    detail = {"proposed_by": found.proposed_by, "note": note.strip() or None,
              "limits": [asdict(limit) for limit in found.limits]}  # fmt: skip
    _note(conn, found.link, by, f"credit.{state}", change_id, detail)
    return found


def changes(conn: Connection, link: str | None = None, state: str | None = None, most: int = 200) -> list[Change]:
    """Changes with their limits, newest first."""
    query = sa.select(*_CHANGE).order_by(credit_change.c.change_id.desc()).limit(most)
    if link is not None:
        query = query.where(credit_change.c.link == link)
    if state is not None:
        query = query.where(credit_change.c.state == state)
    return [
        Change(**row._mapping, limits=tuple(_limits(conn, [row.change_id]))) for row in conn.execute(query).all()
    ]  # fmt: skip


def get(conn: Connection, change_id: int) -> Change | None:
    """One change with its limits."""
    row = conn.execute(sa.select(*_CHANGE).where(credit_change.c.change_id == change_id)).one_or_none()
    return None if row is None else Change(**row._mapping, limits=tuple(_limits(conn, [change_id])))


def summaries(conn: Connection, link: str, most: int = 50) -> list[tuple[Change, int]]:
    """Changes without their limits, and how many limits each has: those that wait first, then the newest."""
    count = sa.select(sa.func.count()).where(credit_limit.c.change_id == credit_change.c.change_id).scalar_subquery()
    query = (
        sa.select(*_CHANGE, count.label("limits_"))
        .where(credit_change.c.link == link)
        .order_by(credit_change.c.state != "proposed", credit_change.c.change_id.desc())
        .limit(most)
    )
    return [
        (Change(**{name: value for name, value in row._mapping.items() if name != "limits_"}), row.limits_)
        for row in conn.execute(query)
    ]


def history(conn: Connection, link: str, account_id: str, most: int = 200) -> list[tuple[Limit, Change]]:
    """Every limit that was ever proposed for one customer, newest first, with the change that it came in."""
    query = (
        sa.select(*_LIMIT, *_CHANGE)
        .join(credit_change, credit_change.c.change_id == credit_limit.c.change_id)
        .where(credit_change.c.link == link, credit_limit.c.account_id == account_id)
        .order_by(credit_limit.c.valid_from.desc(), credit_limit.c.change_id.desc())
        .limit(most)
    )
    width = len(_LIMIT)
    return [(Limit(*row[:width]), Change(*row[width:])) for row in conn.execute(query)]


_IN_FORCE = sa.text(
    """
    select distinct on (l.account_id) l.account_id, l.valid_from, l.currency, l.limit_minor, l.shares_with, l.line
    from tieout.credit_limit l join tieout.credit_change c using (change_id)
    where c.link = :link and c.state = 'approved' and l.valid_from <= :day
        and (cast(:known_at as timestamptz) is null or c.decided_at <= :known_at)
        and (cast(:accounts as text[]) is null or l.account_id = any(:accounts))
    order by l.account_id, l.valid_from desc, c.decided_at desc, l.change_id desc
    """
)


def in_force(
    conn: Connection, link: str, day: date, accounts: Sequence[str] | None = None, known_at: datetime | None = None
) -> dict[str, Limit]:
    """account id -> the approved limit of that day: the latest `valid_from`, of these the one approved last.

    Args:
        accounts: only of these; all by default.
        known_at: of those that were approved by then; all by default.
    """
    values = {
        "link": link, "day": day, "accounts": None if accounts is None else list(accounts), "known_at": known_at,
    }  # fmt: skip
    return {row.account_id: Limit(*row) for row in conn.execute(_IN_FORCE, values)}


def release(
    conn: Connection,
    link: str,
    object_: str,
    source_id: str,
    number: str | None,
    amount: tuple[str, int],
    by: str,
    note: str,
) -> int:
    """Lets one order go once; returns the release's id. Audited.

    Args:
        object_: `order` or `opportunity`, as in `tieout.document`.
        amount: currency and net in minor units of the order as it was judged; a larger one needs another release.

    Raises:
        NotAllowed: no name or reason is given, or the order is released already.
    """  # fmt: skip
    if not (by.strip() and note.strip()):
        raise NotAllowed("a release needs the name of the person who gives it, and why")
    currency, minor = amount
    values = {"link": link, "object": object_, "source_id": source_id, "source_number": number, "currency": currency,
              "amount_minor": minor, "released_by": by.strip(), "note": note.strip()}  # fmt: skip
    open_ = sa.select(credit_release.c.released_by).where(
        credit_release.c.link == link, credit_release.c.object == object_, credit_release.c.source_id == source_id,
        credit_release.c.used_at.is_(None), credit_release.c.currency == currency,
        credit_release.c.amount_minor >= minor,
    )  # fmt: skip
    if (other := conn.execute(open_).scalar()) is not None:
        raise NotAllowed(f"{object_} {number or source_id} is released already, by {other}; the next run takes it")
    made: int = conn.execute(
        sa.insert(credit_release).values(**values).returning(credit_release.c.release_id)
    ).scalar_one()
    detail = {"order": number, "currency": currency, "amount_minor": minor, "note": note.strip()}
    audit.append(conn, f"link:{link}", [audit.Event(by.strip(), "credit.released", f"{object_}:{source_id}", detail)])
    return made


def releases(conn: Connection, link: str, object_: str, source_ids: Sequence[str]) -> dict[str, list[Release]]:
    """source id -> its releases that were not used yet."""
    rows = conn.execute(
        sa.select(*(credit_release.c[name] for name in Release.__dataclass_fields__))
        .where(
            credit_release.c.link == link, credit_release.c.object == object_, credit_release.c.used_at.is_(None),
            credit_release.c.source_id == sa.any_(sa.literal(list(source_ids), sa.ARRAY(sa.Text))),
        )
        .order_by(credit_release.c.release_id)
    )  # fmt: skip
    found: dict[str, list[Release]] = {}
    for row in rows:
        found.setdefault(row.source_id, []).append(Release(*row))
    return found


@dataclass(frozen=True, slots=True)
class Given:
    """A release as it is kept: who let what go, why, and whether an invoice was made by it."""

    object: str
    source_id: str
    source_number: str | None
    currency: str
    amount_minor: int
    released_by: str
    note: str
    released_at: datetime
    used_at: datetime | None


def given(conn: Connection, link: str, most: int = 50) -> list[Given]:
    """Releases of a link, newest first."""
    columns = [credit_release.c[name] for name in Given.__dataclass_fields__]
    query = sa.select(*columns).where(credit_release.c.link == link).order_by(credit_release.c.release_id.desc())
    return [Given(*row) for row in conn.execute(query.limit(most))]


def use(conn: Connection, link: str, release_id: int, doc_uid: str, actor: str) -> bool:
    """Marks a release as used by the document that it let go; False when another run used it first. Audited."""
    row = conn.execute(
        sa.update(credit_release)
        .where(credit_release.c.release_id == release_id, credit_release.c.used_at.is_(None))
        .values(used_at=sa.func.now(), used_doc_uid=doc_uid)
        .returning(credit_release.c.object, credit_release.c.source_id)
    ).one_or_none()
    if row is None:
        return False
    subject = f"{row.object}:{row.source_id}"
    detail = {"release": release_id, "doc_uid": doc_uid}
    audit.append(conn, f"link:{link}", [audit.Event(actor, "credit.release_used", subject, detail)])
    return True


def _limits(conn: Connection, ids: Sequence[int]) -> list[Limit]:
    rows = conn.execute(
        sa.select(*_LIMIT)
        .where(credit_limit.c.change_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.BigInteger))))
        .order_by(credit_limit.c.change_id, credit_limit.c.line, credit_limit.c.account_id)
    )
    return [Limit(*row) for row in rows]


def _note(conn: Connection, link: str, actor: str, event: str, change_id: int, detail: dict[str, Any]) -> None:
    audit.append(conn, f"link:{link}", [audit.Event(actor.strip(), event, f"credit_change:{change_id}", detail)])
