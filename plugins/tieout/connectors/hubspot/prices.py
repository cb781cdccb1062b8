"""What HubSpot has no objects for: list prices (properties of products), the one price book, currencies and rates.

A product has `price`, in the company's currency, and `hs_price_<code>` for each other currency of the portal. A record
of `product_prices` is one of these that is filled: id `<product id>:<currency>`. Rates are company currency for one
unit of the foreign one, from a time on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tieout.connectors.base import Page, Record
from tieout.connectors.hubspot import archived, read
from tieout.connectors.hubspot.objects import VIRTUAL
from tieout.connectors.hubspot.read import Reader
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.model.staged import StagedEntity, StagedField

STANDARD_BOOK = "standard"
SETTINGS = "/settings/v3/currencies"
#: Says that a product is sold; the rest of a portal's products are all for sale.
ACTIVE = "tieout_active"


def company_currency(session: HubSpotSession) -> str:
    """The currency that the portal's totals are in."""
    code = session.get(f"{SETTINGS}/company-currency").get("currencyCode")
    if not isinstance(code, str) or len(code) != 3:
        raise VendorFault(f"{session.name}: the company's currency is no code: {code!r}")
    return code.upper()


def rates(session: HubSpotSession) -> list[dict[str, Any]]:
    """All exchange rates, newest last: {id, currency, base_currency, rate, start_date, effective_at, updatedAt}."""
    params: dict[str, str] = {"limit": "100"}
    made: list[dict[str, Any]] = []
    while True:
        answer = session.get(f"{SETTINGS}/exchange-rates", params)
        found = answer.get("results")
        if not isinstance(found, list):
            raise VendorFault(f"{session.name}: the exchange rates have no results")
        made += [_rate(one) for one in found]
        after = ((answer.get("paging") or {}).get("next") or {}).get("after")
        if not after:
            return sorted(made, key=lambda one: (str(one["effective_at"]), str(one["id"])))
        params["after"] = str(after)


def currencies(session: HubSpotSession) -> list[dict[str, Any]]:
    """The portal's currencies: {id, code, rate, is_base, active}; the rate is that of the newest exchange rate."""
    own = company_currency(session)
    found = {own: {"id": own, "code": own, "rate": "1", "is_base": True, "active": True}}
    for one in rates(session):
        if one["base_currency"] == own and one["currency"] != own:
            code = one["currency"]
            found[code] = {"id": code, "code": code, "rate": one["rate"], "is_base": False, "active": one["visible"]}
    return list(found.values())


def price_property(currency: str, own: str) -> str:
    """The property of a product that holds its price in a currency; `own` is the company's."""
    return "price" if currency.upper() == own.upper() else f"hs_price_{currency.lower()}"


def price_properties(session: HubSpotSession) -> dict[str, str]:
    """Currency -> the property of products that holds the price in it."""
    every = currencies(session)
    own = next(one["code"] for one in every if one["is_base"])
    return {one["code"]: price_property(one["code"], own) for one in every if one["active"]}


def changed(reader: Reader, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
    """As base.Source.changed, of the virtual objects; settings are few and are given whole each time."""
    session = reader.session
    if entity.object == "product_prices":
        names = price_properties(session)
        for page in read.changed(reader, _products(names), since, upto):
            yield from _priced(page.records, names)
    elif entity.object == "price_books":
        yield Page([{"id": STANDARD_BOOK, "name": "Standard", "is_standard": True, "active": True}])
    elif entity.object == "currencies":
        yield Page(currencies(session))
    elif entity.object == "exchange_rates":
        kept = [one for one in rates(session) if entity.modified is None or _inside(one, since, upto)]
        if kept:
            yield Page(kept)
    else:
        raise ConfigurationFault(f"HubSpot: no such object {entity.object!r}; made are {', '.join(VIRTUAL)}")


def fetch(reader: Reader, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
    """As base.Source.fetch."""
    if entity.object == "product_prices":
        names = price_properties(reader.session)
        products = list(dict.fromkeys(id_.partition(":")[0] for id_ in ids))
        for page in read.fetch(reader, _products(names), products):
            for priced in _priced(page.records, names):
                yield Page([one for one in priced.records if one["id"] in set(ids)])
        return
    for page in changed(reader, entity, None, datetime.max.replace(tzinfo=UTC)):
        yield Page([one for one in page.records if one["id"] in set(ids)])


def deleted(reader: Reader, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
    """As base.Source.deleted: the prices of archived products, and those that a product that changed has not."""
    if entity.object != "product_prices":
        return
    names = price_properties(reader.session)
    for ids in archived.deleted(reader, _products({}), since, upto):
        yield [price_id(id_, code) for id_ in ids for code in names]
    for page in read.changed(reader, _products(names), since, upto):
        empty = [
            price_id(product["id"], code)
            for product in page.records for code, name in names.items()
            if (product.get("properties") or {}).get(name) in (None, "")
        ]  # fmt: skip
        if empty:
            yield empty


def price_id(product_id: str, currency: str) -> str:
    """The id of a product's price in a currency."""
    return f"{product_id}:{currency.upper()}"


def _products(names: Mapping[str, str]) -> StagedEntity:
    paths = ("hs_sku", ACTIVE, *names.values())
    fields = tuple(StagedField(name, f"properties.{name}", "text") for name in paths)
    return StagedEntity("hubspot", "product", "products", "id", "properties.hs_lastmodifieddate", fields)


def _priced(products: Sequence[Record], names: Mapping[str, str]) -> Iterator[Page]:
    page = []
    for product in products:
        properties = product.get("properties") or {}
        for code, name in names.items():
            if properties.get(name) not in (None, ""):
                page.append(
                    {
                        "id": price_id(product["id"], code),
                        "price_book_id": STANDARD_BOOK,
                        "product_id": product["id"],
                        "product_code": properties.get("hs_sku"),
                        "currency": code,
                        "unit_price": properties[name],
                        "active": properties.get(ACTIVE) != "false",
                        "updatedAt": properties.get("hs_lastmodifieddate") or product.get("updatedAt"),
                    }
                )
    if page:
        yield Page(page)


def _rate(found: Mapping[str, Any]) -> dict[str, Any]:
    at = str(found.get("effectiveAt") or found.get("createdAt") or "")
    return {
        "id": str(found.get("id")),
        "currency": str(found.get("fromCurrencyCode") or "").upper(),
        "base_currency": str(found.get("toCurrencyCode") or "").upper(),
        "rate": found.get("conversionRate"),
        "start_date": at[:10],
        "effective_at": at,
        "visible": found.get("visibleInUI") is not False,
        "updatedAt": found.get("updatedAt") or found.get("createdAt"),
    }


def _inside(record: Mapping[str, Any], since: datetime | None, upto: datetime) -> bool:
    moment = datetime.fromisoformat(str(record["updatedAt"]))
    return moment < upto and (since is None or moment >= since)
