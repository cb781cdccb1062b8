"""The CRM's products as they were read last, for a page: prices, stock, what was put back, what waits and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from tieout.mapping.load import apply_overrides, load_link, load_system
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.scenarios.products.catalogue import ENTITY

#: What a visitor may choose -> outcomes of items; put_back is about the audit trail.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "sold": ("posted", "pending"), "waiting": ("held", "quarantined"), "ended": ("cancelled",), "put_back": (),
}  # fmt: skip
#: A field that was put back is told for so long.
LATELY = "30 days"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`which`: a word of SHOWN, or all. `begins`: of the code. `after`: code and id where the page before ended."""

    link: str
    which: str = ""
    begins: str = ""
    after: tuple[str, str] = ("", "")
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """One item of the ledger with its product. `prices`: of the standard price book, by currency; None until there
    is a product. `put_back`: field -> (what sales had written, what finance has), at `put_back_at`."""

    item_id: str
    code: str
    outcome: str
    reason: str | None
    message: str | None
    name: str | None = None
    stock: Decimal | None = None
    active: bool | None = None
    prices: Mapping[str, Decimal] | None = None
    written_at: datetime | None = None
    put_back_at: datetime | None = None
    put_back: Mapping[str, tuple[Any, Any]] | None = None


def links(engine: Engine) -> Sequence[str]:
    """Links whose products were judged."""
    with engine.connect() as conn:
        return conn.execute(
            text("select distinct link from tieout.document where object = :object order by 1"), {"object": ENTITY}
        ).scalars().all()  # fmt: skip


def of_file(engine: Engine, include: Path, wanted: Wanted) -> Sequence[Shown]:
    """As `listing`, for a link by its name. Raises ConfigurationFault: its file or a mapping cannot be read."""
    link = load_link(include / "links" / f"{wanted.link}.yaml")
    mappings = {
        entity: apply_overrides(one, link) for entity, one in load_system(include / "mappings", link.crm_system).items()
    }
    with engine.connect() as conn:
        return listing(conn, link, mappings, wanted)


def listing(conn: Connection, link: Link, mappings: Mapping[str, EntityMapping], wanted: Wanted) -> Sequence[Shown]:
    """Items in the order of their codes, at most `wanted.limit`.

    Raises:
        ConfigurationFault: `which` is no word of SHOWN.
    """
    if wanted.which and wanted.which not in SHOWN:
        raise ConfigurationFault(f"{wanted.which!r}: expected one of {', '.join(SHOWN)}")
    judged = _judged(conn, link, wanted)
    ids = [row["source_id"] for row in judged]
    products = _products(conn, link, mappings[ENTITY], ids)
    prices = _prices(conn, link, mappings, [row["product_id"] for row in products.values()])
    written, edits = _written(conn, link, ids), _edits(conn, ids)
    return [
        Shown(
            row["source_id"], row["code"], row["outcome"], row["reason"], row["message"],
            *_of_product(products.get(row["source_id"]), prices), written.get(row["source_id"]),
            *edits.get(row["source_id"], (None, None)),
        )
        for row in judged
    ]  # fmt: skip


_PUT_BACK = (
    "select from tieout.audit_event e where e.subject = 'product:' || d.source_id and e.event = 'master.overwrote' "
    "and e.at > now() - cast(:lately as interval)"
)


def _judged(conn: Connection, link: Link, wanted: Wanted) -> list[Mapping[str, Any]]:
    condition = {"": "true", "put_back": f"exists ({_PUT_BACK})"}.get(wanted.which, "d.outcome = any(:outcomes)")
    rows = conn.execute(
        text(
            f"""
            select d.source_id, coalesce(d.source_number, d.source_id) as code, d.outcome, d.reason, d.message
            from tieout.document d
            where d.link = :link and d.object = :object and d.outcome <> 'not_billable' and {condition}
              and starts_with(lower(coalesce(d.source_number, d.source_id)), lower(:begins))
              and (coalesce(d.source_number, d.source_id), d.source_id) > (:code, :id)
            order by 2, 1 limit :most
            """  # noqa: S608 - one of the conditions above
        ),
        {
            "link": link.name, "object": ENTITY, "lately": LATELY, "outcomes": list(SHOWN.get(wanted.which, ())),
            "begins": wanted.begins, "code": wanted.after[0], "id": wanted.after[1], "most": wanted.limit,
        },
    ).mappings()  # fmt: skip
    return [dict(row) for row in rows]


def _products(conn: Connection, link: Link, mapping: EntityMapping, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    item, name, stock, active = (mapping.read[field].source[0] for field in ("ledger_id", "name", "stock", "active"))
    rows = conn.execute(
        text(
            f"select _source_id as product_id, {item} as item, {name} as name, {stock} as stock, {active} as active "  # noqa: S608
            f"from staging.{mapping.staged_entity().table} "
            f"where _connection = :crm and not _deleted and {item} = any(:ids)"
        ),
        {"crm": link.crm, "ids": list(ids)},
    ).mappings()
    return {row["item"]: dict(row) for row in rows}


def _prices(
    conn: Connection, link: Link, mappings: Mapping[str, EntityMapping], ids: Sequence[str]
) -> dict[str, dict[str, Decimal]]:
    price, book = mappings["price"], mappings["price_book"]
    of, in_book, currency, amount, active = (
        price.read[field].source[0]
        for field in ("product_id", "price_book_id", "currency", "unit_price", "active")
    )  # fmt: skip
    rows = conn.execute(
        text(
            f"""
            select e.{of} as product, e.{currency} as currency, e.{amount} as amount
            from staging.{price.staged_entity().table} e
            join staging.{book.staged_entity().table} b on b._connection = e._connection
                and b._source_id = e.{in_book} and b.{book.read["is_standard"].source[0]}
            where e._connection = :crm and not e._deleted and e.{active} and e.{of} = any(:ids) order by 1, 2
            """  # noqa: S608 - names from the mapping
        ),
        {"crm": link.crm, "ids": list(ids)},
    )
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in rows:
        found[row.product][row.currency] = row.amount
    return found


def _of_product(
    product: Mapping[str, Any] | None, prices: Mapping[str, Mapping[str, Decimal]]
) -> tuple[str | None, Decimal | None, bool | None, Mapping[str, Decimal] | None]:
    if product is None:
        return None, None, None, None
    return product["name"], product["stock"], product["active"], prices.get(product["product_id"], {})


def _written(conn: Connection, link: Link, ids: Sequence[str]) -> dict[str, datetime]:
    rows = conn.execute(
        text(
            "select source_id, max(updated_at) as at from tieout.intent where link = :link and target = :crm "
            "and source = :ledger and source_id = any(:ids) and state = 'CONFIRMED' group by 1"
        ),
        {"link": link.name, "crm": link.crm, "ledger": link.ledger, "ids": list(ids)},
    )
    return {row.source_id: row.at for row in rows}


def _edits(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[datetime, Mapping[str, tuple[Any, Any]]]]:
    """The last of each item."""
    rows = conn.execute(
        text(
            "select distinct on (subject) substr(subject, 9) as item, at, detail -> 'fields' as fields "
            "from tieout.audit_event where event = 'master.overwrote' and subject = any(:subjects) "
            "and at > now() - cast(:lately as interval) order by subject, at desc"
        ),
        {"subjects": [f"product:{one}" for one in ids], "lately": LATELY},
    )
    return {
        row.item: (row.at, {name: (each["overwritten"], each["master"]) for name, each in row.fields.items()})
        for row in rows
    }
