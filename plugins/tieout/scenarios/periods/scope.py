"""Which staged records a period report has to read: what is dated in the period, and what that belongs together with.

By date in SQL, then along the crosswalk, the payments and the credits until nothing new comes: so the 24th period costs
what the first one does. What is found too much does no harm, every item counts in its own day's period (days.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection

from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.calendar import Period
from tieout.model.standing import CASH_REFUND
from tieout.scenarios.services import Services, credits_of
from tieout.scenarios.subjects import subject_of
from tieout.store import staging
from tieout.store.engine import driver

#: Rounds along the links; a chain of credits that is longer is followed no further.
MOST_ROUNDS = 12
RETURN = "return_order"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is read.

    Attributes:
        reads: (crm or ledger, entity) -> column and values of the rows that are read; others are read whole.
        vendors, sources: ids whose crosswalk rows count.
        days: `<entity>:<id>` -> the day that puts a document into a period; what has no date has the day on which it
            was changed last.
    """

    reads: Mapping[tuple[str, str], tuple[str, Sequence[str]]]
    vendors: Sequence[str]
    sources: Sequence[str]
    days: Mapping[str, date]


def find(conn: Connection, services: Services, period: Period, known_at: datetime) -> Scope:
    """The records for a period as they were staged at an instant; the tables are made where they are missing."""
    return _Finder(conn, services, period, known_at).scope()


class _Finder:
    def __init__(self, conn: Connection, services: Services, period: Period, known_at: datetime) -> None:
        self._conn, self._services, self._known_at = conn, services, known_at
        self._first, self._last = period.first, period.last
        self._margin = timedelta(days=services.link.reconciliation.days)
        self._subject = subject_of(services)
        self._returns = "credit_memos" in services.link.reconciliation.areas
        found = (*credits_of(services.ledger), CASH_REFUND)
        self._money = [one for one in found if one != "credit_memo" and one in services.ledger.mappings]
        #: entity -> ids.
        self._found: defaultdict[str, set[str]] = defaultdict(set)
        self._current: dict[str, bool] = {}

    def scope(self) -> Scope:
        self._dated()
        size = -1
        for _ in range(MOST_ROUNDS):
            now = sum(len(ids) for ids in self._found.values())
            if now == size:
                break
            size = now
            self._along_the_links()
        return self._as_scope()

    # --- what is dated in the period --------------------------------------------------------------------------------

    def _dated(self) -> None:
        """By their own dates, with what is near the borders: a rule may match by near dates."""
        subject = self._subject.entity
        self._add("crm", subject, "order_date")
        status = f"{subject}_status"
        paid, on = self._column("crm", status, "invoice_paid_minor"), self._column("crm", status, "invoice_paid_on")
        shown = self._rows("crm", status, ["_source_id"], f"{on} between %(a)s and %(z)s")
        # Shown as paid in part: the CRM states no day then.
        changed = f"{on} is null and {paid} <> 0 and {_CHANGED} between %(a)s and %(z)s"
        self._found[subject] |= {row[0] for row in [*shown, *self._rows("crm", status, ["_source_id"], changed)]}
        if "ledger_invoice" in self._shown:
            paid = self._column("crm", "ledger_invoice", "paid_minor")
            by_hand = self._rows("crm", "ledger_invoice", ["_source_id"],
                                 f"{paid} <> 0 and {_CHANGED} between %(a)s and %(z)s")  # fmt: skip
            self._found["ledger_invoice"] |= {row[0] for row in by_hand}
        if self._returns:
            touched = self._rows("crm", RETURN, ["_source_id"], f"{_CHANGED} between %(a)s and %(z)s")
            self._found[RETURN] |= {row[0] for row in touched}
        for entity in ("invoice", "credit_memo", "payment", *self._money):
            self._add("ledger", entity, "date")
        # A credit is used on days of its own, after its date, and changes with it.
        dated = self._column("ledger", "credit_memo", "date")
        used = self._rows("ledger", "credit_memo", ["_source_id"], f"{dated} <= %(z)s and {_CHANGED} >= %(a)s")
        self._found["credit_memo"] |= {row[0] for row in used}

    def _add(self, side: str, entity: str, name: str) -> None:
        column = self._column(side, entity, name)
        where = f"{column} between %(a)s and %(z)s or ({column} is null and {_CHANGED} between %(a)s and %(z)s)"
        bounds = {"a": self._first - self._margin, "z": self._last + self._margin}
        self._found[entity] |= {row[0] for row in self._rows(side, entity, ["_source_id"], where, **bounds)}

    # --- what belongs together --------------------------------------------------------------------------------------

    def _along_the_links(self) -> None:
        found, subject = self._found, self._subject.entity
        mappings = self._services.crm.mappings
        objects = [mappings[one].object for one in (subject, RETURN) if one in mappings]
        for row in self._conn.execute(
            sa.text(
                "select entity, vendor_id, source_object, source_id from tieout.crosswalk where target = :ledger "
                "and source = :crm and link = :link and created_at <= :known_at and source_object = any(:objects) "
                "and entity in ('invoice', 'credit_memo') and (vendor_id = any(:vendors) or source_id = any(:sources))"
            ),
            {
                **self._names(), "objects": objects,
                "vendors": [*found["invoice"], *found["credit_memo"]], "sources": [*found[subject], *found[RETURN]],
            },
        ):  # fmt: skip
            found[row.entity].add(row.vendor_id)
            if row.source_object == self._object:
                found[subject].add(row.source_id)
            elif self._returns:
                found[RETURN].add(row.source_id)
        self._payments()
        self._credit_memos()
        self._unlinked()
        self._confirmed()
        if "ledger_invoice" in self._shown:
            self._by_hand()
        if self._returns:
            self._of_returns()

    @property
    def _shown(self) -> list[str]:
        """What of the CRM leads to other records of the period, beside the subject: where it has that."""
        by_hand = ["ledger_invoice"] if "ledger_invoice" in self._services.crm.mappings else []
        return [*by_hand, *([RETURN] if self._returns else [])]

    @property
    def _object(self) -> str:
        return self._services.crm.mappings[self._subject.entity].object

    def _payments(self) -> None:
        found, mapping = self._found, self._mapping("ledger", "payment")
        documents, memos = mapping.ids_sql("invoice_id"), mapping.ids_sql("credit_memo_id")
        rows = self._rows(
            "ledger", "payment", ["_source_id", f"{documents} || {memos}"],
            f"_source_id = any(%(own)s) or {documents} && %(documents)s::text[] or {memos} && %(memos)s::text[]",
            own=found["payment"], documents=found["invoice"] | found["credit_memo"], memos=found["credit_memo"],
        )  # fmt: skip
        for id_, targets in rows:
            found["payment"].add(id_)
            # Some lists of payments name the credit note where they name an invoice otherwise; an id that is none of
            # an entity finds nothing there.
            for target in filter(None, targets):
                found["invoice"].add(target)
                found["credit_memo"].add(target)

    def _credit_memos(self) -> None:
        """What credit notes are set against or name, and the notes that are set against or name an invoice."""
        found = self._found
        mapping = self._services.ledger.mappings["credit_memo"].read["invoice_ids"]
        against = self._column("ledger", "credit_memo", "invoice_ids")
        path = "{" + ",".join(str(mapping.settings["path"]).split(".")) + "}"
        reference = self._column("ledger", "credit_memo", "reference")
        number = self._column("ledger", "invoice", "number")
        numbers = {row[0] for row in self._rows("ledger", "invoice", [number], "_source_id = any(%(ids)s)",
                                                ids=found["invoice"]) if row[0]}  # fmt: skip
        each = f"case jsonb_typeof({against}) when 'array' then {against} else '[]' end"
        rows = self._rows(
            "ledger", "credit_memo",
            ["_source_id", f"array(select e #>> '{path}' from jsonb_array_elements({each}) e)", reference],  # noqa: S608
            f"_source_id = any(%(ids)s) or {reference} = any(%(numbers)s) or exists (select from "
            f"jsonb_array_elements({each}) e where e #>> '{path}' = any(%(invoices)s))",
            ids=found["credit_memo"], numbers=numbers, invoices=found["invoice"],
        )  # fmt: skip
        named = {name for *_, name in rows if name}
        for id_, invoices, _ in rows:
            found["credit_memo"].add(id_)
            found["invoice"] |= {one for one in invoices if one}
        if named:
            rows = self._rows("ledger", "invoice", ["_source_id"], f"{number} = any(%(numbers)s)", numbers=named)
            found["invoice"] |= {row[0] for row in rows}

    def _unlinked(self) -> None:
        """Partners that a rule finds by the CRM's link on the document, or by its number."""
        found, subject = self._found, self._subject.entity
        number, url = (self._column("ledger", "invoice", name) for name in ("number", "source_url"))
        if self._subject.entity == "order":
            own = self._column("crm", subject, "number")
        else:
            own = "_source_id"
        form = self._services.link.policies.invoice_number
        records = self._rows("crm", subject, [own, "_source_id"], "_source_id = any(%(ids)s)", ids=found[subject])
        names = [form.format(number=name or id_) for name, id_ in records]
        urls = [self._services.crm.record_url(id_) for id_ in found[subject]]
        rows = self._rows("ledger", "invoice", ["_source_id"], f"{number} = any(%(numbers)s) or {url} = any(%(urls)s)",
                          numbers=names, urls=urls)  # fmt: skip
        found["invoice"] |= {row[0] for row in rows}
        before, _, after = form.partition("{number}")
        rows = self._rows("ledger", "invoice", [number, url], "_source_id = any(%(ids)s)", ids=found["invoice"])
        ids = {str(link).rstrip("/").rsplit("/", 1)[-1] for _, link in rows if link}
        numbers = {one[len(before) : len(one) - len(after)] for one, _ in rows
                   if one and one.startswith(before) and one.endswith(after)}  # fmt: skip
        rows = self._rows("crm", subject, ["_source_id"], f"_source_id = any(%(ids)s) or {own} = any(%(numbers)s)",
                          ids=ids, numbers=numbers)  # fmt: skip
        found[subject] |= {row[0] for row in rows}

    def _confirmed(self) -> None:
        """What people confirmed belongs together."""
        keys = [f"{entity}:{id_}" for entity, ids in self._found.items() for id_ in ids]
        rows = self._conn.execute(
            sa.text(
                "select a_keys || b_keys as keys from tieout.matching where link = :link and state = 'confirmed' "
                "and decided_at <= :known_at and (a_keys && cast(:keys as text[]) or b_keys && cast(:keys as text[]))"
            ),
            {"link": self._services.link.name, "known_at": self._known_at, "keys": keys},
        )
        for row in rows:
            for key in row.keys:
                entity, _, id_ = key.partition(":")
                self._found[entity].add(id_)

    def _by_hand(self) -> None:
        found = self._found
        shows = self._column("crm", "ledger_invoice", "invoice_id")
        rows = self._rows("crm", "ledger_invoice", ["_source_id", shows],
                          f"_source_id = any(%(ids)s) or {shows} = any(%(invoices)s)",
                          ids=found["ledger_invoice"], invoices=found["invoice"])  # fmt: skip
        for id_, invoice in rows:
            found["ledger_invoice"].add(id_)
            if invoice:
                found["invoice"].add(invoice)

    def _of_returns(self) -> None:
        """A return is worth its part of the order's line, beside the other returns of the order."""
        found = self._found
        order = self._column("crm", RETURN, "order_id")
        rows = self._rows("crm", RETURN, [order], f"_source_id = any(%(ids)s) and {order} is not null",
                          ids=found[RETURN])  # fmt: skip
        orders = {row[0] for row in rows}
        found["order"] |= orders
        rows = self._rows("crm", RETURN, ["_source_id"], f"{order} = any(%(orders)s)", orders=orders)
        found[RETURN] |= {row[0] for row in rows}

    # --- the result -------------------------------------------------------------------------------------------------

    def _as_scope(self) -> Scope:
        found, subject = self._found, self._subject.entity
        reads: dict[tuple[str, str], tuple[str, Sequence[str]]] = {}

        def read(side: str, entity: str, ids: Iterable[str], column: str = "_source_id") -> None:
            reads[side, entity] = (column, sorted(ids))

        for entity in {subject, "order"}:
            read("crm", entity, found[entity])
            lines = "order_line" if entity == "order" else self._subject.lines
            read("crm", lines, found[entity], self._column("crm", lines, "parent_id"))
        read("crm", f"{subject}_status", found[subject])
        if "quote" in self._services.crm.mappings:
            quotes = self._quotes()
            read("crm", "quote", quotes)
            read("crm", "quote_line", quotes, self._column("crm", "quote_line", "parent_id"))
        if "ledger_invoice" in self._shown:
            read("crm", "ledger_invoice", found["ledger_invoice"])
        if self._returns:
            read("crm", RETURN, found[RETURN])
            read("crm", f"{RETURN}_status", found[RETURN])
            read("crm", f"{RETURN}_line", found[RETURN], self._column("crm", f"{RETURN}_line", "parent_id"))
        documents = ("invoice", "credit_memo", "payment", *self._money)
        for entity in documents:
            read("ledger", entity, found[entity])
        contacts = self._contacts()
        accounts = self._accounts(contacts)
        read("ledger", "account", contacts)
        read("crm", "account", accounts)
        vendors = [*found["invoice"], *found["credit_memo"], *contacts]
        sources = [*found[subject], *found[RETURN]]
        days = {**self._days("crm", subject, "order_date")}
        for entity in documents:
            days |= self._days("ledger", entity, "date")
        for entity in self._shown:
            days |= self._days("crm", entity, None)
        return Scope(reads, vendors, sources, days)

    def _quotes(self) -> set[str]:
        subject = self._subject.entity
        if subject == "order":
            column, where = self._column("crm", "order", "quote_id"), "_source_id = any(%(ids)s)"
            rows = self._rows("crm", "order", [column], where, ids=self._found["order"])
        else:
            column = self._column("crm", "quote", "opportunity_id")
            rows = self._rows("crm", "quote", ["_source_id"], f"{column} = any(%(ids)s)", ids=self._found[subject])
        return {row[0] for row in rows if row[0]}

    def _contacts(self) -> set[str]:
        """The ledger's customers of these documents, and those that were merged into them."""
        ids: set[str] = set()
        for entity in ("invoice", "credit_memo", *self._money):
            column = self._column("ledger", entity, "customer_id")
            rows = self._rows("ledger", entity, [column], "_source_id = any(%(ids)s)", ids=self._found[entity])
            ids |= {row[0] for row in rows if row[0]}
        merged = self._mapping("ledger", "account").ids_sql("merged_into")
        rows = self._rows("ledger", "account", ["_source_id"], f"{merged} && %(ids)s::text[]", ids=ids)
        return ids | {row[0] for row in rows}

    def _accounts(self, contacts: set[str]) -> set[str]:
        ids: set[str] = set()
        entities = {self._subject.entity, "order", *self._shown}
        for entity in entities:
            column = self._column("crm", entity, "account_id")
            rows = self._rows("crm", entity, [column], "_source_id = any(%(ids)s)", ids=self._found[entity])
            ids |= {row[0] for row in rows if row[0]}
        linked = self._conn.execute(
            sa.text(
                "select source_id from tieout.crosswalk where target = :ledger and source = :crm and link = :link "
                "and entity = 'account' and created_at <= :known_at and vendor_id = any(:ids)"
            ),
            {**self._names(), "ids": list(contacts)},
        )
        return ids | {row.source_id for row in linked}

    def _days(self, side: str, entity: str, name: str | None) -> dict[str, date]:
        column = "null::date" if name is None else self._column(side, entity, name)
        rows = self._rows(side, entity, ["_source_id", f"coalesce({column}, {_CHANGED})"],
                          "_source_id = any(%(ids)s)", ids=self._found[entity])  # fmt: skip
        return {f"{entity}:{id_}": day for id_, day in rows}

    # --- reading ----------------------------------------------------------------------------------------------------

    def _names(self) -> dict[str, Any]:
        services = self._services
        return {"ledger": services.ledger.name, "crm": services.crm.name, "link": services.link.name,
                "known_at": self._known_at}  # fmt: skip

    def _mapping(self, side: str, entity: str) -> EntityMapping:
        return (self._services.crm if side == "crm" else self._services.ledger).mappings[entity]

    def _column(self, side: str, entity: str, name: str) -> str:
        """The staged column that a field of the common model is read from first."""
        column: str = self._mapping(side, entity).read[name].source[0]
        return column

    def _rows(self, side: str, entity: str, columns: Sequence[str], where: str, **bound: Any) -> list[tuple[Any, ...]]:
        """Rows of the images that counted at `known_at`; `where` is our own text, its values are bound."""
        declared = self._mapping(side, entity).staged_entity()
        name = self._services.crm.name if side == "crm" else self._services.ledger.name
        values = {
            "a": self._first, "z": self._last, "connection": name, "known_at": self._known_at,
            "zone": self._services.link.time_zone,
            **{key: list(value) if isinstance(value, set) else value for key, value in bound.items()},
        }  # fmt: skip
        if declared.table not in self._current:
            staging.ensure(self._conn, declared)
            newest = self._conn.execute(
                sa.text(f"select max(_staged_at) from staging.{declared.table} where _connection = :name"),  # noqa: S608
                {"name": name},
            ).scalar_one()
            self._current[declared.table] = newest is None or newest <= self._known_at
        if self._current[declared.table]:
            images = f"staging.{declared.table}"
        else:
            # Every image of a record that ever fitted: its newest one then may not.
            images = (
                f"(select distinct on (_source_id) * from staging.{declared.table}_version where "  # noqa: S608 - ours
                "_connection = %(connection)s and _staged_at <= %(known_at)s and _source_id in (select _source_id "
                f"from staging.{declared.table}_version where _connection = %(connection)s and ({where})) "
                "order by _source_id, _version desc)"
            )
        query = (
            f"select {', '.join(columns)} from {images} images where "  # noqa: S608 - our own text; values are bound
            "_connection = %(connection)s and not _deleted "
            f"and ({where})"
        )
        with driver(self._conn) as raw:
            return list(raw.execute(sql.SQL(query), values))


#: The day on which a record was changed last, in the link's time zone.
_CHANGED = "(coalesce(_modified_at, _staged_at) at time zone %(zone)s)::date"
