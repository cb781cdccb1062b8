"""Each customer's credit as credit-sync last worked it out: what pages show without adding up the ledger again.

Not here: the working out (scenarios/credit), the limits themselves (credit.py). Amounts in minor units of `currency`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.store.credit_tables import credit_position


@dataclass(frozen=True, slots=True)
class Standing:
    """One customer. No figures where `reason` and `message` say why nothing can be said.

    Attributes:
        account_id: the CRM's.
        limit_minor: of the account, or the one that it shares; None where it has none.
        open_minor, overdue_minor: the account's own.
        available_minor: the limit less what all who share it owe.
        rates: the rates that were used, in words.
    """

    account_id: str
    name: str | None
    currency: str | None
    limit_minor: int | None = None
    open_minor: int | None = None
    overdue_minor: int | None = None
    available_minor: int | None = None
    rates: str | None = None
    reason: str | None = None
    message: str | None = None


#: Which customers a list shows.
Choice = Literal["all", "limit", "over", "overdue", "doubtful"]
_CHOICES: dict[Choice, sa.ColumnElement[bool]] = {
    "all": sa.true(),
    "limit": credit_position.c.limit_minor.is_not(None),
    "over": credit_position.c.available_minor < 0,
    "overdue": credit_position.c.overdue_minor > 0,
    "doubtful": credit_position.c.reason.is_not(None),
}
CHOICES = tuple(_CHOICES)
_COLUMNS = [credit_position.c[name] for name in Standing.__dataclass_fields__]
_NAMES = tuple(Standing.__dataclass_fields__)
_VALUES = _NAMES[1:]
_KEEP = sa.text(
    f"""
    insert into tieout.credit_position as p (link, {", ".join(_NAMES)})
    select :link, {", ".join(_NAMES)} from jsonb_to_recordset(cast(:rows as jsonb)) as x(
        account_id text, name text, currency text, limit_minor bigint, open_minor bigint, overdue_minor bigint,
        available_minor bigint, rates text, reason text, message text)
    on conflict (link, account_id) do update
        set {", ".join(f"{name} = excluded.{name}" for name in _VALUES)}, changed_at = now()
    where ({", ".join(f"p.{name}" for name in _VALUES)})
        is distinct from ({", ".join(f"excluded.{name}" for name in _VALUES)})
    """  # noqa: S608 - names come from the class above
)


def keep(conn: Connection, link: str, standings: Sequence[Standing], gone: Sequence[str] = ()) -> int:
    """Writes what changed, and removes accounts that the CRM has no more. Returns the rows written."""
    rows = json.dumps([asdict(one) for one in standings])
    if gone:
        conn.execute(
            sa.delete(credit_position).where(
                credit_position.c.link == link, credit_position.c.account_id.in_(list(gone))
            )
        )
    return conn.execute(_KEEP, {"link": link, "rows": rows}).rowcount if standings else 0


def listing(
    conn: Connection, link: str, choice: Choice = "all", words: str = "", skip: int = 0, most: int = 100
) -> tuple[list[Standing], int]:
    """Customers by name, and how many the choice has in all.

    Args:
        words: a part of the name, or the account's id.
    """
    where: list[Any] = [credit_position.c.link == link, _CHOICES[choice]]
    if words:
        name = credit_position.c.name.icontains(words, autoescape=True)
        where.append(name | (credit_position.c.account_id == words))
    count = conn.execute(sa.select(sa.func.count()).select_from(credit_position).where(*where)).scalar_one()
    query = sa.select(*_COLUMNS).where(*where).order_by(credit_position.c.name, credit_position.c.account_id)
    return [Standing(*row) for row in conn.execute(query.offset(skip).limit(most))], count


def get(conn: Connection, link: str, account_id: str) -> Standing | None:
    """One customer."""
    query = sa.select(*_COLUMNS).where(credit_position.c.link == link, credit_position.c.account_id == account_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else Standing(*row)


def names(conn: Connection, link: str, account_ids: Sequence[str]) -> dict[str, str]:
    """account id -> name, as far as known."""
    query = sa.select(credit_position.c.account_id, credit_position.c.name).where(
        credit_position.c.link == link, credit_position.c.account_id.in_(list(account_ids)),
        credit_position.c.name.is_not(None),
    )  # fmt: skip
    return {row.account_id: row.name for row in conn.execute(query)}
