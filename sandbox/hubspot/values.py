"""Values of properties: texts or null, checked by the property's type. All that is wrong is said at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import Problem, conflict, invalid
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.wire import iso_short, read_moment
from sandbox.state import Record

LONGEST = 65_536  # characters of a text
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Wrong(Exception):
    """One value cannot be taken: (code, message)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def checked(portal: Portal, kind: ObjectType, sent: Any) -> dict[str, str | None]:
    """The values as they are kept; null clears. Raises Problem with every value that is wrong."""
    if not isinstance(sent, dict):
        raise invalid("Some required fields were not set: [properties]" if sent is None else "properties: no object")
    kept: dict[str, str | None] = {}
    wrong: list[tuple[str, str, str]] = []
    for name, value in sent.items():
        try:
            kept[name] = _checked(portal, kind, name, value)
        except Wrong as error:
            wrong.append((name, error.code, str(error)))
    if wrong:
        raise _refused(portal, wrong)
    return kept


def _refused(portal: Portal, wrong: list[tuple[str, str, str]]) -> Problem:
    rows = [
        {"isValid": False, "message": message, "error": code, "name": name, "localizedErrorMessage": message,
         "portalId": portal.setting("portal_id")}
        for name, code, message in wrong
    ]  # fmt: skip
    details = [{"message": m, "code": code, "context": {"propertyName": [name]}} for name, code, m in wrong]
    return invalid(f"Property values were not valid: {json.dumps(rows)}", *details)


def _checked(portal: Portal, kind: ObjectType, name: str, value: Any) -> str | None:
    property_ = portal.properties(kind).get(name)
    if property_ is None or property_["archived"]:
        raise Wrong("PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
    if property_["modificationMetadata"]["readOnlyValue"]:
        raise Wrong("READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
    if isinstance(value, dict | list):
        raise Wrong("INVALID_VALUE", f'"{name}" must be a text')
    text = as_text(value)
    if text is None or text == "":
        return None
    if name in (kind.pipeline, kind.stage):
        return text  # checked together, by `pipelines.place`
    return _BY_TYPE[property_["type"]](portal, property_, text)


def as_text(value: Any) -> str | None:
    """A scalar of JSON as HubSpot keeps it: numbers with the digits that they have, never with an exponent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) < 400 else str(value)
    return None if value is None else str(value)


def _string(portal: Portal, property_: Record, text: str) -> str:
    if len(text) > LONGEST:
        raise Wrong("PROPERTY_VALUE_TOO_LONG", f'"{property_["name"]}" is longer than {LONGEST} characters')
    if property_["name"] == "email" and not _EMAIL.fullmatch(text):
        raise Wrong("INVALID_EMAIL", f"Email address {text} is invalid")
    return text


def _number(portal: Portal, property_: Record, text: str) -> str:
    text = text.strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not text.isascii() or "_" in text or abs(number.adjusted()) > 300:
        raise Wrong("INVALID_NUMBER", f"{text} was not a valid number.")
    return f"{number:f}" if "e" in text.lower() else text.removeprefix("+")


def _date(portal: Portal, property_: Record, text: str) -> str:
    moment = read_moment(text)
    if moment is None:
        raise Wrong("INVALID_DATE", f"{text} was not a valid date.")
    if moment.time().replace(tzinfo=None) != moment.min.time():
        raise Wrong("INVALID_DATE", f"{text} is at {moment:%H:%M:%S}.{moment.microsecond // 1000} UTC, not midnight!")
    return moment.date().isoformat()


def _datetime(portal: Portal, property_: Record, text: str) -> str:
    moment = read_moment(text)
    if moment is None:
        raise Wrong("INVALID_DATE", f"{text} was not a valid long.")
    return iso_short(moment)


def _bool(portal: Portal, property_: Record, text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise Wrong("INVALID_OPTION", f"{text} was not one of the allowed options: [true, false]")
    return text.lower()


def _enumeration(portal: Portal, property_: Record, text: str) -> str:
    if property_["externalOptions"]:
        if text not in portal.state.table("owners"):
            raise Wrong("INVALID_OWNER_ID", f"{text} is no owner of this portal")
        return text
    allowed = [option["value"] for option in property_["options"]]
    given = text.split(";") if property_["fieldType"] == "checkbox" else [text]
    for one in given:
        if one not in allowed:
            message = f"{one} was not one of the allowed options: [{', '.join(allowed)}]"
            raise Wrong("INVALID_OPTION", message)
    return text


_BY_TYPE = {
    "string": _string,
    "number": _number,
    "date": _date,
    "datetime": _datetime,
    "bool": _bool,
    "enumeration": _enumeration,
}


def refuse_missing(kind: ObjectType, values: Mapping[str, str | None]) -> None:
    """Raises Problem when a property without which no record can be made has no value."""
    missing = [name for name in kind.required if not values.get(name)]
    if missing:
        details = [{"message": f"{name} is required", "code": "REQUIRED_FIELD",
                    "context": {"propertyName": [name]}} for name in missing]  # fmt: skip
        raise invalid(f"Error creating {kind.label}. Some required properties were not set.", *details)


def refuse_taken(portal: Portal, kind: ObjectType, values: Mapping[str, str | None], own: str | None) -> None:
    """Raises Problem when another record has the value of a unique property."""
    for name, value in values.items():
        if value is None or not portal.properties(kind)[name]["hasUniqueValue"]:
            continue
        other = portal.by_value(kind, name, value)
        if other is None or other["id"] == own:
            continue
        if kind.name == "contacts" and name == "email":
            raise conflict(f"Contact already exists. Existing ID: {other['id']}")
        message = f"Cannot set PropertyValueCoordinates{{objectId={other['id']}, propertyName={name}, value={value}}} "
        message += f"on {own or 'a new record'}. {other['id']} already has that value."
        detail = {"message": message, "code": "CONFLICTING_UNIQUE_VALUE", "context": {"propertyName": [name]}}
        raise invalid(message, detail)


def unique_property(portal: Portal, kind: ObjectType, name: str) -> str:
    """The name, when it is a unique property of the type. Raises Problem."""
    property_ = portal.properties(kind).get(name)
    if property_ is None or property_["archived"]:
        raise invalid(f'Property "{name}" does not exist')
    if not property_["hasUniqueValue"]:
        raise invalid(f"The property {name} is not a unique property of {kind.name}.")
    return name
