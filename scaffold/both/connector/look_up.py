"""Which live records carry the natural keys of some items, and how they differ from what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaffold.both.connector.read import IDS, having
from scaffold.both.connector.shape import Shape
from tieout.connectors.answers import body_object
from tieout.connectors.base import Found, Record, Request
from tieout.connectors.comparing import Difference, number_of, same_rate, shown, text_of
from tieout.connectors.session import Session

RATE_PLACES = 6
VOID = "void"


def look_up(session: Session, shape: Shape, requests: Sequence[Request]) -> dict[str, list[Found]]:
    """See base.Target.look_up."""
    bodies = {request.doc_uid: body_object(request) or {} for request in requests}
    first = shape.key[0]
    values = list(dict.fromkeys(str(body[first]) for body in bodies.values() if body.get(first)))
    there: dict[str | None, list[Record]] = {}
    for start in range(0, len(values), IDS):
        for record in having(session, shape.object, first, values[start : start + IDS]):
            if shape.act != "create" or record.get("status") != VOID:
                there.setdefault(shape.key_of(record), []).append(record)
    return {
        uid: [_found(shape, body, one) for one in there.get(shape.key_of(body), ())] for uid, body in bodies.items()
    }


def _found(shape: Shape, sent: Mapping[str, Any], record: Record) -> Found:
    differing = tuple(differences(sent, record))
    if shape.act == VOID and record.get("status") != VOID:
        differing = (("status", VOID, shown(record.get("status"))),)
    number = record.get(shape.number) if shape.number else None
    return Found(str(record["id"]), number, record, differing)


def differences(sent: Mapping[str, Any], found: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """(field, sent, found) for each sent field that New System holds otherwise; lines in order."""
    for name, value in sent.items():
        there, label = found.get(name), f"{prefix}{name}"
        if not isinstance(value, list):
            if not _same(name, value, there):
                yield label, shown(value), shown(there)
            continue
        lines = there if isinstance(there, list) else []
        if len(value) != len(lines):
            yield label, f"{len(value)} lines", f"{len(lines)} lines"
            continue
        for at, (one, other) in enumerate(zip(value, lines, strict=True), start=1):
            yield from differences(one, other, f"{label}[{at}].")


def _same(name: str, sent: Any, found: Any) -> bool:
    if name == "exchange_rate":
        return same_rate(sent, found, RATE_PLACES)
    if isinstance(sent, bool):
        return sent is found
    if isinstance(sent, str) or sent is None:
        return text_of(sent) == text_of(found)
    return number_of(sent) == number_of(found)
