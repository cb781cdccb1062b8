"""What a new portal has: standard properties and their groups, pipelines, owners, rates."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.hubspot.catalog import STANDARD, properties_of
from sandbox.hubspot.pipelines import pipeline_of, stage_of
from sandbox.hubspot.settings import DEFAULTS
from sandbox.state import Record, State

_DEAL_STAGES = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"),
    ("closedlost", "Closed Lost", "0.0"),
)
_ORDER_STAGES = (("open", "Open"), ("processed", "Processed"), ("shipped", "Shipped"), ("delivered", "Delivered"),
                 ("cancelled", "Cancelled"))  # fmt: skip
_TICKET_STAGES = (("1", "New", "OPEN"), ("2", "Waiting on contact", "OPEN"), ("3", "Waiting on us", "OPEN"),
                  ("4", "Closed", "CLOSED"))  # fmt: skip
_RETURN_STAGES = (("new", "New", "OPEN"), ("approved", "Approved", "OPEN"), ("closed", "Closed", "CLOSED"),
                  ("cancelled", "Cancelled", "CLOSED"))  # fmt: skip
# Groups that some portals have beside the object's own (M).
_MORE_GROUPS = {"orders": ("order_information",), "quotes": ("quote_information",)}
_OWNERS = (("41629779", "Ann", "Ames", "ann@example.com"), ("60158084", "Bob", "Burr", "bob@example.com"))
_RATES = (("GBP", "1.27"), ("EUR", "1.08"))  # USD for one of them


def seed(state: State) -> None:
    """Fills an empty state; settings included."""
    now = datetime.now(UTC).replace(microsecond=0)
    with state.transaction():
        for name, value in DEFAULTS.items():
            state.settings[name] = value
        for kind in STANDARD:
            for group in (kind.group, *_MORE_GROUPS.get(kind.name, ())):
                row = {"name": group, "label": f"{kind.singular} information", "displayOrder": -1, "archived": False}
                state.table(f"property_groups/{kind.id}").put(group, row)
            for property_ in properties_of(kind):
                state.table(f"properties/{kind.id}").put(property_["name"], property_)
        for type_id, pipeline in _pipelines(now):
            state.table(f"pipelines/{type_id}").put(pipeline["id"], pipeline)
        for id_, first, last, email in _OWNERS:
            owner = {"id": id_, "email": email, "firstName": first, "lastName": last, "userId": int(id_), "teams": []}
            state.table("owners").put(id_, owner | {"type": "PERSON", "archived": False} | _times(now))
        for number, (code, rate) in enumerate(_RATES, 1):
            row = {"id": str(number), "fromCurrencyCode": code, "toCurrencyCode": "USD", "visibleInUI": True}
            row |= {"conversionRate": Decimal(rate), "effectiveAt": datetime(2020, 1, 1, tzinfo=UTC)} | _times(now)
            state.table("exchange_rates").put(str(number), row)


def _pipelines(now: datetime) -> list[tuple[str, Record]]:
    deals = [
        stage_of(id_, label, place, {"isClosed": str(chance in ("0.0", "1.0")).lower(), "probability": chance}, now)
        for place, (id_, label, chance) in enumerate(_DEAL_STAGES)
    ]
    orders = [stage_of(id_, label, place, {}, now) for place, (id_, label) in enumerate(_ORDER_STAGES)]
    return [
        ("0-3", pipeline_of("default", "Sales Pipeline", deals, now)),
        ("0-123", pipeline_of("default", "Order Pipeline", orders, now)),
        ("0-5", pipeline_of("0", "Support Pipeline", _tickets(_TICKET_STAGES, now), now)),
        ("0-5", pipeline_of("returns", "Returns", _tickets(_RETURN_STAGES, now), now, 1)),
    ]


def _tickets(rows: tuple[tuple[str, str, str], ...], now: datetime) -> list[Record]:
    return [stage_of(id_, label, place, {"ticketState": state}, now) for place, (id_, label, state) in enumerate(rows)]


def _times(now: datetime) -> dict[str, Any]:
    return {"createdAt": now, "updatedAt": now}
