"""A delivery as it came, a notice as it is understood, and what the vendors' signatures have in common."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as it came.

    Attributes:
        url: the address that the vendor called, as it is entered at the vendor.
        headers: names in lower case.
        body: the raw bytes; a signature is over these and nothing that was made of them.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A record that something happened to.

    Attributes:
        account: the vendor's account that it is in (tenant, realm, portal); None where the vendor does not say.
        object: the vendor's object as mappings name it; the vendor's own word where no mapping can have it.
        id: of the record.
    """

    account: str | None
    object: str
    id: str


class Unreadable(ValueError):
    """The body is not what the vendor documents. The message says where, and shows nothing of the body."""


def signed(key: str, content: bytes) -> str:
    """base64 of HMAC-SHA256: what all three vendors send."""
    return base64.b64encode(hmac.digest(key.encode(), content, hashlib.sha256)).decode()


def matches(given: str, keys: Collection[str], content: bytes) -> bool:
    """Whether one of the keys signed the content; every key is tried, each compared in constant time."""
    right = [hmac.compare_digest(signed(key, content).encode(), given.encode()) for key in keys]
    return any(right)


def refusal_of(header: str, delivery: Delivery, keys: Collection[str]) -> str | None:
    """Why a delivery whose body alone is signed is not taken; None when it is."""
    given = delivery.headers.get(header)
    if not given:
        return "no_signature"
    return None if matches(given, keys, delivery.body) else "wrong_signature"


def parsed(body: bytes) -> Any:
    """The body as JSON. Raises Unreadable."""
    try:
        return json.loads(body)
    except RecursionError:
        raise Unreadable("the body is nested too deeply to be one of the vendor's") from None
    except ValueError as error:
        # Of bytes that are no UTF-8, too. The error's own words may show a part of the body.
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"the body is not JSON{where}") from None


def objects(value: Any, what: str) -> Sequence[Mapping[str, Any]]:
    """The value as a list of objects. Raises Unreadable."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Unreadable(f"expected a list of objects as {what}")
    return value


def word(record: Mapping[str, Any], name: str) -> str:
    """A text, or a whole number as text. Raises Unreadable."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Unreadable(f"expected {name} in every event")
    return str(value)


def milliseconds(text: str) -> datetime | None:
    """The moment of a Unix time in milliseconds; None when it is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
    except OverflowError:
        return None
