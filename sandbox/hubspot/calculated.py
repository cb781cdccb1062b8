"""What HubSpot works out by itself: stages of pipelines, a deal's closing, a line item's amount."""

from __future__ import annotations

from decimal import Decimal, localcontext

from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import invalid
from sandbox.hubspot.portal import Portal

Values = dict[str, str | None]


def fill(portal: Portal, kind: ObjectType, values: Values) -> Values:
    """The record's values with those that follow from others. Raises Problem for a stage of another pipeline."""
    if kind.pipeline:
        values = _place(portal, kind, values)
    if kind.name == "line_items":
        values = values | _amounts(values)
    return values


def from_product(portal: Portal, values: Values) -> Values:
    """A new line item takes what it does not say from its product. Raises Problem when there is no such product."""
    id_ = values.get("hs_product_id")
    if id_ is None:
        return values
    product = portal.find_record(portal.kind("products"), id_)
    if product is None:
        raise invalid(f"Product {id_} does not exist", propertyName=["hs_product_id"])
    taken = ("name", "description", "price", "hs_sku", "hs_cost_of_goods_sold", "recurringbillingfrequency")
    return {name: product["properties"].get(name) for name in taken if name in product["properties"]} | values


def _place(portal: Portal, kind: ObjectType, values: Values) -> Values:
    pipelines = portal.pipelines(kind)
    named, stage_id = values.get(kind.pipeline), values.get(kind.stage)
    if named is None and stage_id is not None:
        owners = [p for p in pipelines.values() if any(s["id"] == stage_id for s in p["stages"])]
        named = owners[0]["id"] if owners else next(iter(pipelines.keys()))
    if named is None:
        named = next(iter(pipelines.keys())) if kind.name != "orders" else None
    if named is None:
        return values
    if named not in pipelines:
        raise _no_option(kind.pipeline, named, list(pipelines.keys()))
    if stage_id is None:
        return values | {kind.pipeline: named} | _closing(kind, None, values)
    stage = portal.stage(kind, named, stage_id)
    if stage is None:
        raise _no_option(kind.stage, stage_id, [s["id"] for s in pipelines[named]["stages"]])
    return values | {kind.pipeline: named} | _closing(kind, stage["metadata"], values)


def _no_option(name: str, value: str, allowed: list[str]) -> Exception:
    message = f"{value} was not one of the allowed options: [{', '.join(allowed)}]"
    detail = {"message": message, "code": "INVALID_OPTION", "context": {"propertyName": [name]}}
    return invalid(f"Property values were not valid: {message}", detail)


def _closing(kind: ObjectType, metadata: dict[str, str] | None, values: Values) -> Values:
    if metadata is None:
        return {}
    if kind.name == "tickets":
        return {"hs_is_closed": "true" if metadata.get("ticketState") == "CLOSED" else "false"}
    if kind.name != "deals":
        return {}
    closed, chance = metadata.get("isClosed") == "true", Decimal(metadata.get("probability", "0"))
    return {
        "hs_is_closed": "true" if closed else "false",
        "hs_is_closed_won": "true" if closed and chance == 1 else "false",
        "hs_is_closed_lost": "true" if closed and chance == 0 else "false",
        "hs_deal_stage_probability": metadata.get("probability", "0"),
    }


def _amounts(values: Values) -> Values:
    """amount = quantity x (price - discount), or quantity x price less a discount in percent. Not rounded."""
    price, quantity = values.get("price"), values.get("quantity")
    if price is None or quantity is None:
        return {"amount": None, "hs_pre_discount_amount": None, "hs_total_discount": None}
    with localcontext() as context:
        context.prec = 700  # as many digits as two values can have
        gross = Decimal(price) * Decimal(quantity)
        if values.get("hs_discount_percentage") is not None:
            off = gross * Decimal(values["hs_discount_percentage"] or 0) / 100
        else:
            off = Decimal(values.get("discount") or 0) * Decimal(quantity)
        return {
            "amount": _plain(gross - off),
            "hs_pre_discount_amount": _plain(gross),
            "hs_total_discount": _plain(off),
        }


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
