"""SOQL made of checked identifiers and escaped literals, and Salesforce's two forms of an id. No calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.model.staged import StagedEntity

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
MOST_PARENTS = 5  # SOQL follows at most five relationships upwards
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", '"': '\\"'}


def id_18(text: str) -> str:
    """The 18-character form of a Salesforce id; an id of 18 characters gets its checksum made right.

    Raises:
        ValueError: neither 15 nor 18 letters and digits.
    """
    if not _ID.fullmatch(text):
        raise ValueError(f"not a Salesforce id: {text[:40]!r}")
    head = text[:15]
    if len(text) == 18:
        head = _restore_case(head, text[15:])
    return head + _checksum(head)


def is_id(text: str) -> bool:
    """Whether `id_18` takes it."""
    try:
        id_18(text)
    except ValueError:
        return False
    return True


def given_id(value: object) -> str:
    """The 18-character form of an id in an answer. Raises VendorFault when it is none."""
    try:
        return id_18(str(value))
    except ValueError as error:
        raise VendorFault(f"Salesforce's answer: {error}") from error


def _checksum(head: str) -> str:
    return "".join(
        _CHECKSUM[sum(1 << place for place, char in enumerate(head[start : start + 5]) if "A" <= char <= "Z")]
        for start in (0, 5, 10)
    )


def _restore_case(head: str, checksum: str) -> str:
    # The three last characters say which letters are capitals: an id that came through a tool that lost the case
    # is still the same record.
    chars = []
    for group, code in enumerate(checksum.upper()):
        bits = _CHECKSUM.find(code)
        if bits < 0:
            raise ValueError(f"not a Salesforce id: checksum {checksum!r}")
        for place, char in enumerate(head[group * 5 : group * 5 + 5]):
            chars.append(char.upper() if bits >> place & 1 else char.lower())
    return "".join(chars)


def identifier(name: str) -> str:
    """The name of an object or field as it is. Raises ConfigurationFault when it cannot be one."""
    if not _NAME.fullmatch(name):
        raise ConfigurationFault(f"not the name of a Salesforce object or field: {name[:80]!r}")
    return name


def path(text: str) -> str:
    """A field path such as `Account.Owner.Name`. Raises ConfigurationFault when it cannot be one."""
    parts = text.split(".")
    if len(parts) > MOST_PARENTS + 1:
        raise ConfigurationFault(f"Salesforce follows at most {MOST_PARENTS} relationships: {text[:200]!r}")
    return ".".join(identifier(part) for part in parts)


def literal(value: str | int | bool | Decimal | datetime | None) -> str:
    """A value as it stands in SOQL: texts quoted and escaped, instants in UTC with milliseconds."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, datetime):
        return instant(value)
    return "'" + "".join(_ESCAPES.get(char, char) for char in value) + "'"


def instant(value: datetime, *, up: bool = False) -> str:
    """A datetime literal with milliseconds, rounded down, or up with `up` (both only ever widen a window)."""
    value = value.astimezone(UTC)
    rest = value.microsecond % 1000
    if rest:
        value += timedelta(microseconds=(1000 - rest) if up else -rest)
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def columns(entity: StagedEntity) -> list[str]:
    """The paths to select, the key first, each once whatever its case."""
    wanted = [entity.key, *([entity.modified] if entity.modified else []), *(field.path for field in entity.fields)]
    seen: dict[str, str] = {}
    for text in wanted:
        seen.setdefault(text.lower(), path(text))
    return list(seen.values())


def select(
    fields: Sequence[str], obj: str, conditions: Iterable[str] = (), order: Sequence[str] = (), limit: int | None = None
) -> str:
    """A SELECT. `conditions` are joined by AND and must be made by this module's functions."""
    query = f"SELECT {', '.join(path(name) for name in fields)} FROM {identifier(obj)}"  # noqa: S608 - checked names
    where = " AND ".join(conditions)
    if where:
        query += f" WHERE {where}"
    if order:
        query += f" ORDER BY {', '.join(path(name) for name in order)}"
    return query if limit is None else f"{query} LIMIT {int(limit)}"


def among(name: str, values: Sequence[str]) -> str:
    """`name IN ('a', 'b')`."""
    return f"{path(name)} IN ({', '.join(literal(value) for value in values)})"


def window(entity: StagedEntity, since: datetime | None, upto: datetime) -> list[str]:
    """The conditions for `[since, upto)`; none for an object without a modification time."""
    if entity.modified is None:
        return []
    name = path(entity.modified)
    lower = [f"{name} >= {instant(since)}"] if since is not None else []
    return [*lower, f"{name} < {instant(upto, up=True)}"]


def days(name: str, first: date, last: date) -> list[str]:
    """The conditions for a date field in [first, last]; a date literal stands without quotes."""
    return [f"{path(name)} >= {first:%Y-%m-%d}", f"{path(name)} <= {last:%Y-%m-%d}"]


def above(name: str, field: str) -> str:
    """The path of a field of the record that the lookup field `name` points to: OrderId -> Order, Of__c -> Of__r.

    Raises:
        ConfigurationFault: `name` is not spelled as a lookup field is.
    """
    *way, last = path(name).split(".")
    if last.endswith("__c"):
        relation = f"{last[:-1]}r"
    elif last.endswith("Id") and last != "Id":
        relation = last[:-2]
    else:
        raise ConfigurationFault(f"Salesforce: {name!r} is not the name of a lookup field: it ends in Id or __c")
    return path(".".join([*way, relation, field]))
