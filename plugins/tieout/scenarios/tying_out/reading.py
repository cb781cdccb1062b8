"""What was staged of both systems as it was known at an instant, in the common model, read once for all areas.

Records that the mapping cannot read are kept with the reason: they count nothing, and are listed all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from tieout.mapping.compile import compile_read
from tieout.model.errors import Rejection
from tieout.model.money import exponent
from tieout.scenarios.billing import Closed, within
from tieout.scenarios.rules import closed_periods
from tieout.scenarios.services import Services, Side, credits_of
from tieout.scenarios.subjects import Subject, subject_of
from tieout.scenarios.successors import formers
from tieout.store import staging

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Read:
    """An entity of one side: rows of the common model by `_source_id`, and what could not be read."""

    frame: pd.DataFrame
    rejections: Sequence[Rejection] = ()


@dataclass
class Books:
    """Both systems as of a day, known at an instant. Frames are read at first use and kept."""

    services: Services
    as_of: date
    known_at: datetime
    _kept: dict[tuple[str, str], Read] = field(default_factory=dict)

    #: A further condition on the crosswalk, in SQL of our own; its values are `_bound`.
    _only: ClassVar[str] = ""

    @property
    def subject(self) -> Subject:
        """What the link bills."""
        return subject_of(self.services)

    @property
    def subject_object(self) -> str:
        """The CRM's own word for it, as the crosswalk has it."""
        return self.services.crm.mappings[self.subject.entity].object

    def crm(self, entity: str) -> Read:
        """An entity of the CRM."""
        return self._read(self.services.crm, entity)

    def ledger(self, entity: str) -> Read:
        """An entity of the ledger."""
        return self._read(self.services.ledger, entity)

    @property
    def credits(self) -> Mapping[str, str]:
        """What lowers a balance in this ledger: entity -> its kind that belongs to customers."""
        return credits_of(self.services.ledger)

    def _read(self, side: Side, entity: str) -> Read:
        found = self._kept.get((side.name, entity))
        if found is None:
            found = self._staged(side, entity)
            if side is self.services.crm and entity != "account" and "account_id" in found.frame and self.moved:
                moved = found.frame.assign(account_id=found.frame["account_id"].replace(self.moved))
                found = Read(moved, found.rejections)
            self._kept[side.name, entity] = found
        return found

    def _staged(self, side: Side, entity: str) -> Read:
        return read_staged(self.services, side, entity, self.known_at)

    @cached_property
    def crosswalk(self) -> pd.DataFrame:
        """entity, vendor_id, source_object, source_id, ordinal, main: of this link, made until `known_at`.

        What only writes a difference off is not the document that the CRM's record is compared with.
        """
        return self._query(
            "select entity, vendor_id, source_object, source_id, "  # noqa: S608 - our own text; values are bound
            "crosswalk_id as ordinal, not exists (select from "
            "tieout.intent i where i.target = c.target and i.doc_uid = c.doc_uid and i.kind = 'write_off') as main "
            "from tieout.crosswalk c "
            f"where target = :ledger and source = :crm and link = :link and created_at <= :known_at {self._only}"
        )

    @cached_property
    def foreign(self) -> frozenset[str]:
        """Documents of the ledger that belong to another link."""
        frame = self._query(
            "select vendor_id from tieout.crosswalk where target = :ledger and link <> :link "  # noqa: S608 - as above
            "and entity <> 'account' "
            f"and created_at <= :known_at {self._only}"
        )
        return frozenset(frame["vendor_id"])

    @cached_property
    def moved(self) -> dict[str, str]:
        """Id of an account that the CRM merged into another -> the other's."""
        frame = self.crm("account").frame
        if "merged_from" not in frame:
            return {}
        merged = frame[frame["merged_from"].notna()]
        return {
            old: new
            for new, ids in zip(merged["account_id"], merged["merged_from"], strict=True)
            for old in formers(ids, new)
        }

    @cached_property
    def contacts(self) -> dict[str, str]:
        """The ledger's customer id -> the CRM's account, those that were merged in the ledger included."""
        links = self.crosswalk
        own = links[links["entity"] == "account"]
        known = dict(zip(own["vendor_id"], own["source_id"].replace(self.moved), strict=True))
        frame = self.ledger("account").frame
        merged = frame[frame["merged_into"].notna()]
        for loser, winner in zip(merged["account_id"], merged["merged_into"], strict=True):
            if loser in known:
                known.setdefault(winner, known[loser])
        return known

    @cached_property
    def names(self) -> pd.Series[Any]:
        """CRM account id, or `ledger:<customer id>` -> name."""
        import pandas as pd

        crm, ledger = self.crm("account").frame, self.ledger("account").frame
        ours = pd.Series(crm["name"].tolist(), index=crm["account_id"].astype(object).tolist(), dtype=object)
        theirs = pd.Series(
            ledger["name"].tolist(), index=[f"ledger:{one}" for one in ledger["account_id"]], dtype=object
        )
        return pd.concat([ours, theirs])

    @cached_property
    def locked_until(self) -> date | None:
        """The later of the ledger's lock dates."""
        frame = self.ledger("organisation").frame
        dates = [*frame["period_lock_date"].dropna(), *frame["year_lock_date"].dropna()]
        return max(dates, default=None)

    @cached_property
    def closed(self) -> tuple[Closed, ...]:
        """The link's periods that were closed by `known_at` and still are."""
        with self.services.engine.connect() as conn:
            return closed_periods(conn, self.services.link.name, self.known_at)

    def is_open(self, day: date) -> bool:
        """Whether a document may be dated on a day, as the planners see it."""
        return (self.locked_until is None or day > self.locked_until) and within(day, self.closed) is None

    def customers(self, contact_ids: pd.Series[Any]) -> pd.Series[Any]:
        """The ledger's customers as accounts of the CRM, else as `ledger:<id>`."""
        ids = contact_ids.astype(object)
        mapped = ids.map(self.contacts)
        return mapped.where(mapped.notna(), ("ledger:" + contact_ids.astype("string")).astype(object))

    def names_of(self, customers: pd.Series[Any]) -> pd.Series[Any]:
        """Their names."""
        return customers.map(self.names)

    def later_days(self, dates: pd.Series[Any]) -> pd.Series[Any]:
        """By how many days a date is after the report's day; null where it is not."""
        import pandas as pd

        days = (pd.to_datetime(dates) - pd.Timestamp(self.as_of)).dt.days.astype("Int64")
        return days.where(days > 0)

    def _bound(self) -> Mapping[str, Any]:
        return {}

    def _query(self, query: str) -> pd.DataFrame:
        import pandas as pd

        services = self.services
        values = {"ledger": services.ledger.name, "crm": services.crm.name, "link": services.link.name,
                  "known_at": self.known_at, **self._bound()}  # fmt: skip
        with services.engine.connect() as conn:
            result = conn.execute(sa.text(query), values)
            return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=object)


def scales(currencies: pd.Series[Any]) -> pd.Series[Any]:
    """Decimals of each row's currency."""
    known = {code: exponent(code) for code in currencies.dropna().unique()}
    return currencies.astype(object).map(known).astype("Int64")


def keyed(entity: str, ids: pd.Series[Any]) -> pd.Series[Any]:
    """`<entity>:<id>`."""
    return f"{entity}:" + ids.astype("string")


def unreadable(
    rejections: Sequence[Rejection], area: str, entity: str, base_currency: str, name: str | None = None
) -> pd.DataFrame:
    """Items of nothing for records that the mapping refuses: listed, with the reason."""
    import pandas as pd

    rows = [
        {
            "area": area, "key": f"{entity}:{one.source_id}", "match_key": f"{entity}:{one.source_id}",
            "currency": base_currency, "scale": exponent(base_currency), "amount": 0, "title": one.source_id,
            "label": f"{name or entity.replace('_', ' ')} {one.source_id}", "reason": f"{one.reason}: {one.message}",
        }
        for one in rejections
    ]  # fmt: skip
    return pd.DataFrame(rows)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One frame of items."""
    import pandas as pd

    kept = [frame for frame in frames if not frame.empty]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def read_staged(
    services: Services, side: Side, entity: str, known_at: datetime, column: str = "_source_id",
    values: Sequence[str] | None = None,
) -> Read:  # fmt: skip
    """An entity as it was staged at an instant; with `values` only rows whose text column is one of them."""
    mapping = side.mappings[entity]
    declared = mapping.staged_entity()
    with services.engine.begin() as conn:
        staging.ensure(conn, declared)
        newest = conn.execute(
            sa.text(f"select max(_staged_at) from staging.{declared.table} where _connection = :name"),  # noqa: S608
            {"name": side.name},
        ).scalar_one()
    # Where nothing was staged since, the current images are those of that instant, without looking at older ones.
    if newest is None or newest <= known_at:
        frame = staging.read(services.engine, declared, side.name, column=column, values=values)
    else:
        frame = staging.as_of(services.engine, declared, side.name, known_at, column=column, values=values)
    outcome = compile_read(mapping, services.link)(frame)
    return Read(outcome.frame, tuple(outcome.rejections))


def day_bounds(day: date, zone: Any) -> tuple[datetime, datetime]:
    """The instants at which a day of a time zone begins and ends."""
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    return begin, datetime(after.year, after.month, after.day, tzinfo=zone)
