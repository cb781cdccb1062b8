"""Which limit holds for a customer, and with whom it is shared. Pure; the rows are in store/credit.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tieout.store.credit import Limit


@dataclass(frozen=True, slots=True)
class Shared:
    """A limit and everybody who draws on it. `holder`: the account that has it; `members` with the holder, sorted."""

    holder: str
    currency: str
    limit_minor: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The limits of one day: account id -> the limit that it draws on. Who is not in it has none."""

    limits: Mapping[str, Shared] = field(default_factory=dict)

    def members_of(self, account_id: str) -> tuple[str, ...]:
        """Everybody whose orders count against the same limit; the account alone where it has none."""
        shared = self.limits.get(account_id)
        return shared.members if shared else (account_id,)


def policy_of(rows: Mapping[str, Limit]) -> Policy:
    """The policy of the limits in force. Whoever shares with one that has no limit of its own has none either."""
    groups: dict[str, set[str]] = defaultdict(set)
    for account_id, row in rows.items():
        holder = account_id if row.shares_with is None else row.shares_with
        own = rows.get(holder)
        if own is not None and own.limit_minor is not None:
            groups[holder] |= {account_id, holder}
    limits: dict[str, Shared] = {}
    for holder, members in groups.items():
        own = rows[holder]
        if own.limit_minor is None or own.currency is None:
            continue
        shared = Shared(holder, own.currency, own.limit_minor, tuple(sorted(members)))
        limits |= dict.fromkeys(members, shared)
    return Policy(limits)
