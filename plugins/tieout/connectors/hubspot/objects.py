"""What the `object` and the paths of a mapping mean at HubSpot: which records, which properties, which associations.

`companies`; `line_items of orders` (those that belong to an order); `tickets in pipeline returns`; a custom object by
its name. Paths: `id`, `createdAt`, `updatedAt`, `archived`, `properties.<name>`, `associations.<object>` (the id of the
primary or only one), `associations.parent` (of `X of Y`: the Y), `stage.id|label|won|closed` (in its pipeline).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity

#: Made by us of products' properties and of settings (prices.py).
VIRTUAL = ("product_prices", "price_books", "currencies", "exchange_rates")
#: Objects whose records can be merged; custom objects can as well.
MERGED = ("companies", "contacts", "deals", "tickets")
#: Never merged.
UNMERGED = ("line_items", "products", "quotes", "orders")
#: Objects with pipelines. Of any other, the stage is a property of ours, whose value is its label.
PIPED = ("deals", "tickets", "orders")
OWN_STAGE = "tieout_stage"
PARENT = "parent"
STAGE = ("id", "label", "won", "closed")
_KIND = re.compile(r"([A-Za-z0-9_-]{1,80})(?: of ([A-Za-z0-9_-]{1,80}))?(?: in pipeline (\S[^/]{0,120}))?")
_PROPERTY = re.compile(r"[A-Za-z0-9_]{1,100}")
_PLAIN = {"id", "createdAt", "updatedAt", "archived", "archivedAt", "url"}


@dataclass(frozen=True, slots=True)
class Kind:
    """Which records are meant.

    Attributes:
        object: as the API's paths name it.
        parent: only those that belong to one of these.
        pipeline: only those in it; an id or a label.
    """

    object: str
    parent: str | None = None
    pipeline: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of each record: names of properties, of associated objects, and whether the stage's words are."""

    properties: tuple[str, ...]
    associations: tuple[str, ...]
    stage: bool


def kind_of(object_name: str) -> Kind:
    """The meaning of a mapping's `object`. Raises ConfigurationFault."""
    found = _KIND.fullmatch(object_name.strip())
    if found is None:
        raise ConfigurationFault(
            f"HubSpot: expected an object such as companies, 'line_items of orders' or 'tickets in pipeline returns',"
            f" found {object_name[:80]!r}"
        )
    return Kind(found[1], found[2], found[3])


def modified_property(entity: StagedEntity, kind: Kind) -> str:
    """The property that search orders changes by."""
    if entity.modified is not None and entity.modified.startswith("properties."):
        return entity.modified.removeprefix("properties.")
    return "lastmodifieddate" if kind.object == "contacts" else "hs_lastmodifieddate"


def pipeline_properties(object_name: str) -> tuple[str, str]:
    """The names of the properties that hold a record's pipeline and stage."""
    return ("pipeline", "dealstage") if object_name == "deals" else ("hs_pipeline", "hs_pipeline_stage")


def wanted(entity: StagedEntity, kind: Kind) -> Wanted:
    """What the entity's paths ask for. Raises ConfigurationFault for one that HubSpot's records do not have."""
    properties: dict[str, None] = {modified_property(entity, kind): None}
    associations: dict[str, None] = {kind.parent: None} if kind.parent else {}
    stage = False
    for field in entity.fields:
        place, _, name = field.path.partition(".")
        if place == "properties" and _PROPERTY.fullmatch(name):
            properties[name] = None
        elif place == "associations" and name == PARENT and kind.parent:
            continue
        elif place == "associations" and name != PARENT and _PROPERTY.fullmatch(name):
            associations[name] = None
        elif place == "stage" and name in STAGE:
            stage = True
        elif field.path not in _PLAIN:
            raise ConfigurationFault(
                f"HubSpot: {entity.object} has no {field.path!r}; expected properties.<name>, associations.<object>,"
                f" stage.<{'|'.join(STAGE)}> or one of {', '.join(sorted(_PLAIN))}"
            )
    if kind.object in PIPED and (stage or kind.pipeline):
        properties |= dict.fromkeys(pipeline_properties(kind.object))
    elif stage:
        properties[OWN_STAGE] = None
    return Wanted(tuple(properties), tuple(associations), stage)
