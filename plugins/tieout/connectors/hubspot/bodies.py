"""Frozen bodies and what HubSpot takes and gives: all values of properties are texts on the wire, "" empties one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tieout.connectors.answers import body_object
from tieout.connectors.base import Request
from tieout.connectors.comparing import number_of, text_of
from tieout.connectors.hubspot.objects import kind_of
from tieout.connectors.hubspot.operations import Shape
from tieout.connectors.hubspot.prices import price_id, price_property
from tieout.connectors.hubspot.records import is_id
from tieout.model.errors import ConfigurationFault

Difference = tuple[str, str, str]


class Unusable(ValueError):
    """The body cannot be sent; `str()` of it says what was expected."""


def text(value: Any) -> str:
    """A value as HubSpot takes it: numbers in plain digits, true and false, dates as they are; null empties."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int):
        return str(value)
    raise Unusable(f"expected texts, numbers, dates or true and false as properties, found {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Item:
    """One request as a part of a batch.

    Attributes:
        key: the record's id, or the value of the unique property.
        object: which it is a record of, as the API's paths name it.
        properties: as texts.
        links: object -> id of the record to associate with; nulls are left out.
        vendor_id: where it is not the record's own id.
    """

    request: Request
    key: str
    object: str
    properties: Mapping[str, str]
    links: Mapping[str, str] = field(default_factory=dict)
    vendor_id: str | None = None


def item_of(shape: Shape, request: Request) -> Item:
    """The request as an input. Raises Unusable."""
    body = _body(request, {"id", "object", "properties", "associations"})
    given = body.get("properties")
    if not isinstance(given, Mapping) or not given:
        raise Unusable("expected a JSON object with properties")
    properties = {str(name): text(value) for name, value in given.items()}
    links = body.get("associations") or {}
    named = {kind_of(str(name)).object: str(id_) for name, id_ in links.items() if id_ is not None}
    if bad := [id_ for id_ in named.values() if not is_id(id_)]:
        raise Unusable(f"expected ids of HubSpot as associations, found {bad[0][:40]!r}")
    obj = _object(body.get("object"), shape.object)
    if shape.unique is None:
        return Item(request, _id(body.get("id") or request.natural_key), obj, properties, named)
    key = properties.setdefault(shape.unique, request.natural_key)
    if not key:
        raise Unusable(f"expected a value of {shape.unique}")
    return Item(request, key, obj, properties, named)


def price_of(request: Request, company: str) -> Item:
    """A price as the property of its product; one that is not active any more empties it. Raises Unusable."""
    body = _body(request, {"id", "product_id", "price_book_id", "currency", "unit_price", "active"})
    product, _, code = str(body.get("id") or "").partition(":")
    product, code = _id(body.get("product_id") or product), str(body.get("currency") or code).upper()
    if len(code) != 3 or not (code.isascii() and code.isalpha()):
        raise Unusable(f"expected the currency of the price, found {code[:10]!r}")
    value = None if body.get("active") is False else body.get("unit_price")
    properties = {price_property(code, company): text(value)}
    return Item(request, product, "products", properties, vendor_id=price_id(product, code))


def _body(request: Request, names: AbstractSet[str]) -> Mapping[str, Any]:
    body = body_object(request)
    if body is None:
        raise Unusable("expected a JSON object")
    if unknown := body.keys() - names:
        raise Unusable(f"expected {', '.join(sorted(names))}, found {', '.join(sorted(unknown))}")
    return body


def _object(given: Any, own: str) -> str:
    """The object that a body names, in the words of a mapping's `object`; else the operation's own."""
    try:
        return own if given is None else kind_of(str(given)).object
    except ConfigurationFault as error:
        raise Unusable(str(error)) from None


def _id(value: Any) -> str:
    if not is_id(str(value)):
        raise Unusable(f"expected an id of HubSpot, found {str(value)[:40]!r}")
    return str(value)


def differences(item: Item, found: Mapping[str, Any], links: Mapping[str, str | None]) -> Iterator[Difference]:
    """(field, sent, found) for each property and association that HubSpot holds otherwise."""
    for name, sent in item.properties.items():
        there = found.get(name)
        if not same(sent, there):
            yield name, sent[:200], str(there or "")[:200]
    for name, id_ in item.links.items():
        if links.get(name) != id_:
            yield f"associations.{name}", id_, links.get(name) or ""


def same(sent: str, found: Any) -> bool:
    """Whether HubSpot holds what was sent: numbers and instants by value, texts without blanks at their ends."""
    left, right = text_of(sent), text_of(found)
    if left == right:
        return True
    number = number_of(left)
    if number is not None:
        return number == number_of(right)
    if "T" in left or "T" in right:
        one, other = _instant(left), _instant(right)
        return one is not None and one == other
    return False


def _instant(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    # HubSpot keeps milliseconds.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) if moment.tzinfo else None
