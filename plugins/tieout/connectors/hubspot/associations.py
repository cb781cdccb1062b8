"""Which records belong to which: associations v4, read for many records in a call, and set.

A mapping wants one id. Of several, it is the one that is labelled primary; where none is, nobody knows which, and null
is given: to choose one would bill somebody who bought nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.http import Reply
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import VendorFault

AT_ONCE = 1000  # records of one batch read of associations
SET_AT_ONCE = 100

#: (id of the other record, whether its label is Primary)
Other = tuple[str, bool]


def others(
    session: HubSpotSession, object_name: str, to: str, ids: Sequence[str], at_once: int = AT_ONCE
) -> dict[str, list[Other]]:
    """id -> the records of `to` that it is associated with, in the order of the answer; those without are missing."""
    found: dict[str, dict[str, bool]] = {}
    path = f"/crm/v4/associations/{object_name}/{to}/batch/read"
    for start in range(0, len(ids), at_once):
        inputs: list[dict[str, str]] = [{"id": one} for one in ids[start : start + at_once]]
        while inputs:
            answer = session.ask(path, {"inputs": inputs})
            inputs = []
            for one in _results(session, path, answer):
                id_ = str(one["from"]["id"])
                mine = found.setdefault(id_, {})
                for other in one.get("to") or []:
                    key = str(other["toObjectId"])
                    mine[key] = mine.get(key, False) or _is_primary(other)
                after = ((one.get("paging") or {}).get("next") or {}).get("after")
                if after:
                    inputs.append({"id": id_, "after": str(after)})
    return {id_: list(mine.items()) for id_, mine in found.items()}


def only(found: Sequence[Other]) -> str | None:
    """The primary one, or the only one; null where there is none or nobody says which."""
    primary = [id_ for id_, is_primary in found if is_primary]
    if len(primary) == 1:
        return primary[0]
    return found[0][0] if len(found) == 1 else None


def set_default(session: HubSpotSession, object_name: str, to: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Associates (from, to) pairs; those that are associated already stay so.

    Raises:
        Unanswered, NotSent: nobody knows which were.
        Fatal: HubSpot refuses.
    """
    for some in _parts(pairs):
        reply = write_default(session, object_name, to, some)
        if reply.status >= 300:
            raise session.raw.http.fault(reply)
        if reply.status == 207:
            raise VendorFault(f"{session.name}: some of {len(some)} {object_name} could not be associated with {to}")


def write_default(
    session: HubSpotSession, object_name: str, to: str, pairs: Sequence[tuple[str, str]], priority: int = 0
) -> Reply:
    """One call that associates up to SET_AT_ONCE pairs by the default type. Raises as HubSpotSession.write."""
    inputs = [{"from": {"id": one}, "to": {"id": other}} for one, other in pairs]
    path = f"/crm/v4/associations/{object_name}/{to}/batch/associate/default"
    return session.write("POST", path, exact_json.dumps({"inputs": inputs}), priority)


def _parts(pairs: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for start in range(0, len(pairs), SET_AT_ONCE):
        yield pairs[start : start + SET_AT_ONCE]


def _results(session: HubSpotSession, path: str, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = answer.get("results")
    if not isinstance(results, list) or not all(isinstance(one, dict) and "from" in one for one in results):
        raise VendorFault(f"{session.name}: the answer of {path} has no results")
    return results


def _is_primary(other: Mapping[str, Any]) -> bool:
    types = other.get("associationTypes") or []
    return any(str(one.get("label") or "").lower() == "primary" for one in types if isinstance(one, dict))
