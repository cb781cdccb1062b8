"""Products of the CRM at the end of a scenario, with what was put back and what was warned of."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import text

from tests.scenarios.format import Expect, ExpectedProduct, PutBack, Warned
from tests.scenarios.same import same
from tests.scenarios.world import World


def product_differences(world: World, expect: Expect) -> Iterator[str]:
    """What of products is not as expected, in sentences."""
    yield from _products(world, expect.products)
    if expect.put_back is not None:
        yield from _put_back(world, expect.put_back)
    if expect.warned is not None:
        yield from _warned(world, expect.warned)


def _products(world: World, wanted: tuple[ExpectedProduct, ...]) -> Iterator[str]:
    if not wanted:
        return
    fields = sorted({name for one in wanted for name in one.shows} | {"ProductCode"})
    rows = {row["ProductCode"]: row for row in world.crm.rows("Product2", fields)}
    prices: dict[str, dict[str, Decimal]] = {}
    for row in world.crm.rows("PricebookEntry", ("Product2Id", "CurrencyIsoCode", "UnitPrice", "IsActive")):
        if row["IsActive"]:
            prices.setdefault(row["Product2Id"], {})[row["CurrencyIsoCode"]] = row["UnitPrice"]
    for one in wanted:
        there = rows.get(one.code)
        if there is None:
            yield f"no product {one.code}; there are {', '.join(map(str, rows))}"
            continue
        for name, value in one.shows.items():
            if not same(value, there[name]):
                yield f"product {one.code}: {name}: expected {value}, found {there[name]}"
        if one.prices is not None and prices.get(there["Id"], {}) != one.prices:
            yield f"product {one.code}: expected the prices {one.prices}, found {prices.get(there['Id'])}"


def _put_back(world: World, wanted: tuple[PutBack, ...]) -> Iterator[str]:
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select d.source_number as code, f.key as field, f.value ->> 'overwritten' as was, "
                "f.value ->> 'master' as now from tieout.audit_event e "
                "join tieout.document d on e.subject = 'product:' || d.source_id "
                "cross join jsonb_each(e.detail -> 'fields') f "
                "where e.event = 'master.overwrote' and d.object = 'product'"
            )
        ).all()
    left = {(row.code, row.field, row.was, row.now) for row in rows}
    for one in wanted:
        found = next((each for each in left if _is(one, each)), None)
        if found is None:
            yield f"product {one.product}: that {one.field} {one.was!r} was put back to {one.now!r} is not told: {left}"
            continue
        left.remove(found)
    for code, field, was, now in left:
        yield f"product {code}: {field} was put back from {was!r} to {now!r}, which was not expected"


def _is(one: PutBack, found: tuple[str, str, str | None, str | None]) -> bool:
    code, field, was, now = found
    return (one.product, one.field) == (code, field) and same(_shown(one.was), was) and same(_shown(one.now), now)


def _shown(value: object) -> object:
    # The audit trail is JSON: a yes is `true`.
    return str(value).lower() if isinstance(value, bool) else value


def _warned(world: World, wanted: tuple[Warned, ...]) -> Iterator[str]:
    codes = {row["Id"]: row["ProductCode"] for row in world.crm.rows("Product2", ("ProductCode",))}
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select source_id, reason from tieout.dead_letter "
                "where state = 'open' and (connection = :crm or reason = 'code_unknown')"
            ),
            {"crm": world.link.crm},
        ).all()
    found = sorted((str(codes.get(row.source_id, row.source_id)), row.reason) for row in rows)
    expected = sorted((one.product, one.reason) for one in wanted)
    if found != expected:
        yield f"expected to be warned of {expected}, found {found}"
