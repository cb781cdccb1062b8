"""Open quotes whose price is not today's list price any more: a flag and a sentence on the quote, for whoever sells.

What a line was quoted by is its list price, which the CRM took over when the line was added: a discount or a price
that somebody agreed on does not make a quote outdated. Written only where it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.scenarios.billing import Row
from tieout.scenarios.frames import chunks
from tieout.scenarios.services import Services
from tieout.scenarios.write_back import Fact, plan_facts
from tieout.store.engine import join_whole_tables

ENTITY = "quote"
NO_LONGER_SOLD = "is not sold any more"


def plan(services: Services, run_id: UUID) -> dict[str, int]:
    """Plans the flags. Returns how many open quotes are `outdated`, and how many writes were `planned`."""
    outdated: dict[str, list[str]] = defaultdict(list)
    for row in _outdated_lines(services):
        outdated[row["quote_id"]].append(_words(row))
    flagged = _flagged(services)
    facts = [_fact(services, key, words) for key, words in sorted(outdated.items())]
    facts += [_fact(services, key, ()) for key in sorted(flagged - outdated.keys())]
    planned = sum(plan_facts(services, ENTITY, chunk, run_id) for chunk in chunks(facts))
    return {"outdated": len(outdated), "planned": planned}


def _outdated_lines(services: Services) -> list[Row]:
    quote, line, price, product = (services.crm.mappings[name] for name in (ENTITY, "quote_line", "price", "product"))
    status, currency = (quote.read[name].source[0] for name in ("status", "currency"))
    of, listed = (line.read[name].source[0] for name in ("parent_id", "list_price"))
    of_product, in_currency = (price.read[name].source[0] for name in ("product_id", "currency"))
    if "price_id" in line.read:
        entry = f"e._source_id = l.{line.read['price_id'].source[0]}"
    else:  # a CRM whose lines name no entry: the product's price in the quote's currency
        entry = f"e.{of_product} = l.{line.read['product_id'].source[0]} and e.{in_currency} = q.{currency}"
    now, active = (price.read[name].source[0] for name in ("unit_price", "active"))
    code, sold = (product.read[name].source[0] for name in ("code", "active"))
    tables = [f"staging.{each.staged_entity().table}" for each in (quote, line, price, product)]
    with services.engine.connect() as conn:
        join_whole_tables(conn)
        rows = conn.execute(
            text(
                f"""
                select q._source_id as quote_id, p.{code} as code, l.{listed} as quoted, e.{now} as now,
                    coalesce(e.{active}, true) and coalesce(p.{sold}, true) as sold
                from {tables[0]} q
                join {tables[1]} l on l._connection = q._connection and l.{of} = q._source_id and not l._deleted
                join {tables[2]} e on e._connection = q._connection and {entry}
                join {tables[3]} p on p._connection = q._connection
                    and p._source_id = e.{of_product}
                where q._connection = :crm and not q._deleted and coalesce(q.{status}, '') <> all(:closed)
                  and (l.{listed} <> e.{now} or not coalesce(e.{active}, true) or not coalesce(p.{sold}, true))
                order by 1, p.{code}, l._source_id
                """  # noqa: S608 - names from the mapping
            ),
            {"crm": services.crm.name, "closed": quote.words("closed", True)},
        ).mappings()
        return [dict(row) for row in rows]


def _words(row: Mapping[str, Any]) -> str:
    if not row["sold"]:
        return f"{row['code']} {NO_LONGER_SOLD}"
    return f"{row['code']}: {_plain(row['quoted'])} is now {_plain(row['now'])}"


def _plain(price: Decimal) -> str:
    shown = format(price.normalize(), "f")
    whole, _, places = shown.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def _flagged(services: Services) -> set[str]:
    """Quotes of which the last write said that they are outdated, and that are still there."""
    table = services.crm.mappings[ENTITY].staged_entity().table
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                f"""
                select source_id from (
                    select distinct on (source_id) source_id, frozen from tieout.intent
                    where link = :link and target = :crm and source = :crm and source_object = :object
                      and kind = 'write_back' and state <> 'CANCELLED' order by source_id, revision desc) last
                where frozen ->> 'outdated' = 'yes' and exists (
                    select from staging.{table} q where q._connection = :crm and q._source_id = last.source_id
                        and not q._deleted)
                """  # noqa: S608 - the table's name comes from StagedEntity
            ),
            {"link": services.link.name, "crm": services.crm.name, "object": services.crm.mappings[ENTITY].object},
        )
        return set(found.scalars())


def _fact(services: Services, quote_id: str, words: Sequence[str]) -> Fact:
    common = {"quote_id": quote_id, "price_outdated": bool(words), "price_message": "; ".join(words) or None}
    outdated = {"outdated": "yes" if words else "no"}
    object_ = services.crm.mappings[ENTITY].object
    return Fact(services.crm.name, object_, quote_id, quote_id, quote_id, common, outdated)
