"""What is known of items before they are judged: which ones, their product and prices in the CRM, what was sent last.

Only reading; the rules are in rules.py, what follows from them in planning.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from tieout.mapping.spec import masters
from tieout.model.errors import ConfigurationFault
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.frames import common_rows, parent_column
from tieout.scenarios.products import price_list
from tieout.scenarios.products.price_list import Entry
from tieout.scenarios.products.rules import CODE_LENGTH, NAME_LENGTH, choose, collision
from tieout.scenarios.quarantine import hold_of
from tieout.scenarios.services import Services
from tieout.store import dead_letters, documents
from tieout.store.documents import OPEN, Judgement
from tieout.store.engine import join_whole_tables

#: The word in `tieout.document` and of the mappings on both sides.
ENTITY = "product"
PriceKey = tuple[str, str, str]  # product, price book, currency


@dataclass(frozen=True)
class Rules:
    """What is the same for all items of a run.

    Attributes:
        books: price books that get every price, the standard one first.
        currencies: of the CRM's organisation.
        masters: common field -> who wins, `crm` or `finance`.
        listed: code in small letters -> finance's price list today.
        colliding: item -> why it has to wait for another one.
    """

    base_currency: str
    books: tuple[str, ...]
    currencies: frozenset[str]
    masters: Mapping[str, str]
    listed: Mapping[str, Entry]
    colliding: Mapping[str, Hold]


@dataclass(frozen=True)
class Chunk:
    """Everything that is known of some items.

    Attributes:
        versions: item -> the highest staged version of it and what belongs to it.
        items: of the ledger; one that is gone is in none.
        stopped: item -> why it is in quarantine or cannot be read.
        products: item -> the CRM's product.
        unlinked: those of `products` that are only going to be linked.
        unclear: item -> why no product can be chosen.
        prices: what the CRM has of these products.
        last: (item, kind) -> the latest intent.
        vanished: products of the CRM that somebody deleted.
    """

    versions: Mapping[str, int]
    items: Mapping[str, Row]
    stopped: Mapping[str, Hold]
    products: Mapping[str, Row]
    unlinked: frozenset[str]
    unclear: Mapping[str, Hold]
    prices: Mapping[PriceKey, Row]
    last: Mapping[tuple[str, str], Row]
    vanished: frozenset[str]
    previous: Mapping[str, Judgement]


def load_rules(services: Services) -> Rules:
    """Rules from the link, the price list and what is staged.

    Raises:
        ConfigurationFault: the price list or the price book that the link names is not there.
    """
    link, crm = services.link, services.crm
    with services.engine.connect() as conn:
        colliding = _colliding(conn, services)
    currencies, _ = common_rows(services, crm, "currency")
    return Rules(
        base_currency=link.base_currency,
        books=_books(services),
        currencies=frozenset(row["code"] for row in currencies if row.get("active")),
        masters=masters(crm.mappings[ENTITY], services.ledger.mappings[ENTITY]),
        listed=load_price_list(services),
        colliding=colliding,
    )


def load_price_list(services: Services) -> dict[str, Entry]:
    """Code in small letters -> what finance's price list says of it today; nothing where the link names none.

    Raises:
        ConfigurationFault: it is not there, or no list of prices.
    """
    link = services.link
    path = price_list.find(link.products.price_list, (services.settings.home, services.settings.include))
    if path is None:
        return {}
    with services.engine.connect() as conn:
        now: datetime = conn.execute(text("select now()")).scalar_one()
    return price_list.load(path, now.astimezone(ZoneInfo(link.time_zone)).date())


def _books(services: Services) -> tuple[str, ...]:
    found, _ = common_rows(services, services.crm, "price_book")
    standard = [row["price_book_id"] for row in found if row.get("is_standard")]
    if not standard:
        raise ConfigurationFault(f"{services.crm.name}: no standard price book can be read; `tieout doctor` says why")
    name = services.link.products.price_book
    if name is None:
        return (standard[0],)
    own = [row["price_book_id"] for row in found if row["name"] == name and not row.get("is_standard")]
    if len(own) != 1:
        raise ConfigurationFault(f"{services.crm.name}: {len(own)} price books are named {name!r}; expected one")
    return (standard[0], own[0])


def _colliding(conn: Connection, services: Services) -> dict[str, Hold]:
    """Sold items that the CRM could not tell apart, or whose names the ledger cut to the same."""
    mapping = services.ledger.mappings[ENTITY]
    code, name, sold = (mapping.read[field].source[0] for field in ("code", "name", "active"))
    table = mapping.staged_entity().table
    found: dict[str, Hold] = {}
    for kind, same, condition in (
        ("name", name, f"char_length({name}) >= {NAME_LENGTH}"), ("code", f"lower({code})", f"{code} is not null"),
    ):  # fmt: skip
        rows = conn.execute(
            text(
                f"""
                select array_agg(_source_id) as ids, array_agg({code}) as codes, min({code}) as first
                from staging.{table} where _connection = :connection and not _deleted and {sold} and {condition}
                group by {same} having count(*) > 1
                """  # noqa: S608 - names from the mapping
            ),
            {"connection": services.ledger.name},
        )
        for row in rows:
            for item in row.ids:
                found[item] = collision(kind, row.first, [each for each in row.codes if each])
    return found


def to_judge(services: Services, rules: Rules) -> dict[str, int]:
    """item -> highest staged version of it, its product and that one's prices: new, changed or open ones, those whose
    price list is another today, and those that collide."""
    crm, ledger = services.crm, services.ledger
    product, price = crm.mappings[ENTITY].staged_entity().table, crm.mappings["price"].staged_entity().table
    code = ledger.mappings[ENTITY].read["code"].source[0]
    item_id, product_id = parent_column(crm, ENTITY, "ledger_id"), parent_column(crm, "price", "product_id")
    with services.engine.connect() as conn:
        join_whole_tables(conn)
        found = conn.execute(
            text(
                f"""
                with price as (select {product_id} as product_id, max(_version) as version from staging.{price}
                        where _connection = :crm group by 1),
                    product as (select p.{item_id} as item_id, max(greatest(p._version, price.version)) as version
                        from staging.{product} p left join price on price.product_id = p._source_id
                        where p._connection = :crm and p.{item_id} is not null group by 1),
                    listed as (select key as code, value as digest
                        from jsonb_each_text(cast(:digests as jsonb)))
                select i._source_id, greatest(i._version, product.version) as version
                from staging.{ledger.mappings[ENTITY].staged_entity().table} i
                left join product on product.item_id = i._source_id
                left join listed on listed.code = lower(i.{code})
                left join tieout.document d on d.link = :link and d.object = :object and d.source_id = i._source_id
                where i._connection = :ledger
                  and (d.source_id is null or greatest(i._version, product.version) > d.seen_version
                       or d.outcome = any(:open) or d.content_hash is distinct from listed.digest
                       or i._source_id = any(:colliding))
                order by 1
                """  # noqa: S608 - names from the mapping
            ),
            {
                "link": services.link.name, "object": ENTITY, "crm": crm.name, "ledger": ledger.name,
                "digests": json.dumps({key: entry.digest for key, entry in rules.listed.items()}), "open": list(OPEN),
                "colliding": sorted(rules.colliding),
            },
        )  # fmt: skip
        return {row._source_id: row.version for row in found}


def read_chunk(services: Services, versions: Mapping[str, int]) -> Chunk:
    """What is known of these items."""
    ids = sorted(versions)
    rows, unreadable = common_rows(services, services.ledger, ENTITY, ids=ids)
    items = {row["_source_id"]: row for row in rows}
    linked, _ = common_rows(services, services.crm, ENTITY, parents=ids, parent="ledger_id")
    products: dict[str, Row] = {str(row["ledger_id"]): row for row in linked}
    missing = {key: row for key, row in items.items() if key not in products and row.get("active") and row.get("code")}
    chosen, unclear = _unlinked(services, missing)
    products |= chosen
    found = [row["product_id"] for row in products.values()]
    prices = common_rows(services, services.crm, "price", parents=found, parent="product_id")[0] if found else []
    with services.engine.connect() as conn:
        letters = dead_letters.open_keys(conn, services.ledger.name, ENTITY)
        last = _last(conn, services, ids)
        vanished = _vanished(conn, services, [row["vendor_id"] for row in last.values() if row["vendor_id"]])
        previous = documents.latest(conn, services.link.name, ENTITY, ids)
    stopped = {item.source_id: hold_of(item) for item in unreadable} | {
        key: Hold(reason, f"it is in quarantine: {reason}", "an item that passes its checks", reason,
                  "mend it in the ledger; it is checked again when it changes or is replayed")
        for key, reason in letters.items() if key in versions
    }  # fmt: skip
    return Chunk(
        versions, items, stopped, products, frozenset(chosen), unclear,
        {(row["product_id"], row["price_book_id"], row["currency"]): row for row in prices}, last, vanished, previous,
    )  # fmt: skip


def _unlinked(services: Services, items: Mapping[str, Row]) -> tuple[dict[str, Row], dict[str, Hold]]:
    """Products that the CRM has without knowing the item, by their code; and items for which it is not clear."""
    mapping = services.crm.mappings[ENTITY]
    code, item_id = mapping.read["code"].source[0], mapping.read["ledger_id"].source[0]
    beginning = f"lower(left({code}, {CODE_LENGTH}))"
    if not items:
        return {}, {}
    with services.engine.connect() as conn:
        ids = conn.execute(
            text(
                f"""
                select _source_id from staging.{mapping.staged_entity().table} where _connection = :connection
                  and not _deleted and {item_id} is null and {beginning} = any(:codes)
                """  # noqa: S608 - names from the mapping
            ),
            {"connection": services.crm.name, "codes": sorted({str(row["code"]).lower() for row in items.values()})},
        ).scalars().all()  # fmt: skip
    candidates: dict[str, list[Row]] = defaultdict(list)
    for row in common_rows(services, services.crm, ENTITY, ids=ids)[0] if ids else ():
        candidates[str(row["code"])[:CODE_LENGTH].lower()].append(row)
    chosen: dict[str, Row] = {}
    unclear: dict[str, Hold] = {}
    for key, item in items.items():
        found = choose(item["code"], candidates.get(str(item["code"]).lower(), ()))
        if isinstance(found, Hold):
            unclear[key] = found
        elif found is not None:
            chosen[key] = found
    return chosen, unclear


def _last(conn: Connection, services: Services, ids: Sequence[str]) -> dict[tuple[str, str], Row]:
    rows = conn.execute(
        text(
            "select distinct on (source_id, kind) source_id, kind, doc_uid, revision, state, operation, body, "
            "vendor_id, reason, message from tieout.intent where link = :link and target = :crm and source = :ledger "
            "and source_object = :object and source_id = any(:ids) and state <> 'CANCELLED' "
            "order by source_id, kind, revision desc"
        ),
        {
            "link": services.link.name, "crm": services.crm.name, "ledger": services.ledger.name,
            "object": services.ledger.mappings[ENTITY].object, "ids": list(ids),
        },
    ).mappings()  # fmt: skip
    return {(row["source_id"], row["kind"]): {**row, "body": bytes(row["body"])} for row in rows}


def highest_revisions(conn: Connection, services: Services, ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """(item, kind) -> the highest revision that was ever planned, cancelled ones too."""
    rows = conn.execute(
        text(
            "select source_id, kind, max(revision) as revision from tieout.intent where target = :crm "
            "and source = :ledger and source_object = :object and source_id = any(:ids) group by 1, 2"
        ),
        {
            "crm": services.crm.name, "ledger": services.ledger.name,
            "object": services.ledger.mappings[ENTITY].object, "ids": list(ids),
        },
    )  # fmt: skip
    return {(row.source_id, row.kind): row.revision for row in rows}


def _vanished(conn: Connection, services: Services, ids: Sequence[Any]) -> frozenset[str]:
    found: set[str] = set()
    for entity in (ENTITY, "price"):
        rows = conn.execute(
            text(
                f"select _source_id from staging.{services.crm.mappings[entity].staged_entity().table} "  # noqa: S608
                "where _connection = :connection and _deleted and _source_id = any(:ids)"
            ),
            {"connection": services.crm.name, "ids": list(ids)},
        )
        found |= set(rows.scalars())
    return frozenset(found)
