"""What has to be written into the CRM so that it shows what finance has: product by product, price by price.

Rows of the common model become native fields by the mappings, whole chunks at a time; they are compared with what the
CRM has, and only what differs is written. What of it is sent when, and what it means for the item, is planning.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tieout.delivery.bodies import placeholder
from tieout.mapping.compile import compile_write
from tieout.mapping.payload import bodies
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.errors import Rejection
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import frame_of, rows
from tieout.scenarios.products.rules import same_price
from tieout.scenarios.services import Services

#: Kinds of intent. A price's kind has its currency, and its price book where that is not the standard one.
PRODUCT, PRICE = "product", "price"
#: Fields of a price that only a new one takes; all others are sent whenever one of them differs.
ONLY_NEW = frozenset({"Product2Id", "Pricebook2Id", "CurrencyIsoCode"})
_OPERATIONS = {
    (PRODUCT, True): "products.upsert", (PRODUCT, False): "products.update",
    (PRICE, True): "prices.create", (PRICE, False): "prices.update",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One record of the CRM as it should be.

    Attributes:
        item: of the ledger.
        kind: of the intent.
        entity: `product` or `price`.
        common: the fields that finance decides, in the common model.
        there: what the CRM has, in the common model; None makes a new record.
        depends_on: doc_uids of what has to be there first.
    """

    item: str
    kind: str
    entity: str
    common: Mapping[str, Any]
    there: Row | None
    depends_on: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.item}\x1f{self.kind}"


@dataclass(frozen=True, slots=True)
class Write:
    """`asked` differs from what is there. `differing`: native field -> (finance's value, the CRM's)."""

    asked: Asked
    operation: str
    body: bytes
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def price_kind(currency: str, book: str | None) -> str:
    """`book`: None for the standard price book."""
    return f"{PRICE}:{currency}" + (f":{book}" if book else "")


def waiting_for(doc_uid: str) -> str:
    """Stands in a body for the id of a product that is being made."""
    return placeholder(doc_uid)


def writes(
    services: Services, entity: str, asked: Sequence[Asked], crm_mastered: Collection[str] = ()
) -> tuple[dict[str, Write], dict[str, Rejection]]:
    """Compares records with what the CRM has.

    Args:
        crm_mastered: common fields that are left alone where the record is there.

    Returns:
        (item and kind) -> what has to be written, for those that differ; and -> why it cannot be.
    """
    if not asked:
        return {}, {}
    mapping = services.crm.mappings[entity]
    by_key = {each.key: each for each in asked}
    made = compile_write(mapping, services.link)(frame_of([{**each.common, "_key": each.key} for each in asked]))
    refused = {item.source_id: item for item in made.rejections}
    have = _as_it_is(services, mapping, asked)
    native = {str(row["_key"]): row for row in rows(made.frame)}
    kept = {name for name, spec in mapping.write.items() if set(spec.source) & set(crm_mastered)}
    found: dict[str, Write] = {}
    for new in (True, False):
        names = [name for name in mapping.write if (name != "Id" if new else name == "Id" or name not in kept)]
        if not new:
            names = [name for name in names if entity == PRODUCT or name not in ONLY_NEW]
        differing = {
            key: {} if new else _differing(by_key[key], names, row, have[key])
            for key, row in native.items() if (by_key[key].there is None) == new
        }  # fmt: skip
        keys = [key for key, fields in differing.items() if new or fields]
        chosen = made.frame[made.frame["_key"].isin(keys)][["_key", *names]]
        if not len(chosen):
            continue
        for key, body in bodies(chosen, None, None, "_key", mapping.sent_nulls & set(names)).items():
            found[str(key)] = Write(by_key[str(key)], _OPERATIONS[entity, new], body, differing[str(key)])
    return found, refused


def _as_it_is(services: Services, mapping: EntityMapping, asked: Sequence[Asked]) -> dict[str, Row]:
    """What the CRM has as native fields, without refusals: it may hold what we would not send."""
    lenient = {
        name: spec.model_copy(
            update={"when_null": "leave_out", "precision": None, "when_longer": "truncate" if spec.max_length else None}
        )
        for name, spec in mapping.write.items()
    }
    there = [{**each.there, "_key": each.key} for each in asked if each.there is not None]
    if not there:
        return {}
    made = compile_write(mapping.model_copy(update={"write": lenient}), services.link)(frame_of(there))
    return {str(row["_key"]): row for row in rows(made.frame)}


def _differing(asked: Asked, names: Sequence[str], want: Row, have: Row) -> dict[str, tuple[Any, Any]]:
    return {
        name: (want[name], have.get(name))
        for name in names
        if name != "Id" and not _same(asked, name, want[name], have.get(name))
    }


def _same(asked: Asked, name: str, want: Any, have: Any) -> bool:
    if name == "UnitPrice":
        return same_price(want, have, str(asked.common["currency"]))
    if isinstance(want, str) and isinstance(have, str):
        # The CRM takes blanks from the ends, and may have line breaks of two characters.
        return want.replace("\r\n", "\n").strip() == have.replace("\r\n", "\n").strip()
    return bool(want == have) if want is not None and have is not None else want is have
