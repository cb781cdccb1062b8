"""One call as the endpoints see it, with what many of them read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sandbox.faults import Faults
from sandbox.hubspot import associations
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.errors import invalid
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.wire import parse
from sandbox.state import Record


@dataclass(frozen=True, slots=True)
class Call:
    portal: Portal
    faults: Faults
    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes
    args: Mapping[str, str] = field(default_factory=dict)  # parts of the path

    def json(self) -> Any:
        return parse(self.body)

    def object(self) -> dict[str, Any]:
        """The body, which must be an object. Raises Problem."""
        sent = self.json()
        if not isinstance(sent, dict):
            raise invalid("Invalid input JSON on line 1, column 1: an object was expected")
        return sent

    def inputs(self, most: int = 100, what: str = "object") -> list[dict[str, Any]]:
        """The body's `inputs`: a list of objects. Raises Problem."""
        sent = self.object().get("inputs")
        if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
            raise invalid("Some required fields were not set: [inputs]")
        if len(sent) > most:
            message = f"The maximum number of inputs supported in a batch request for {what} is {most}."
            raise invalid(f"{message} {len(sent)} were given.")
        return sent

    def one(self, name: str) -> str | None:
        given = self.query.get(name)
        return given[-1] if given else None

    def many(self, name: str) -> list[str] | None:
        """A parameter that is repeated or has commas; None when it was not given."""
        given = self.query.get(name)
        return None if given is None else [part for one in given for part in one.split(",") if part]

    def flag(self, name: str) -> bool:
        return (self.one(name) or "").lower() == "true"

    def limit(self, normal: int, most: int) -> int:
        """Raises Problem."""
        given = self.one("limit")
        if given is None:
            return normal
        if not (given.isascii() and given.isdigit()) or not 1 <= int(given[:9]) <= most:
            raise invalid(f"limit must be a whole number from 1 to {most}; it was {given[:40]}")
        return int(given[:9])

    def kind(self, name: str = "type") -> ObjectType:
        return self.portal.kind(self.args[name])

    def id(self, name: str = "id") -> str:
        return associations.read_id(self.args[name])

    def hidden_since(self) -> Any:
        """What the fault `stale_read` hides: records made after this moment; None without it."""
        params = self.faults.take("stale_read", self.method, self.path)
        if params is None:
            return None
        return self.portal.now() - timedelta(seconds=float(params.get("seconds", 30)))

    def next_page(self, after: str) -> Record:
        link = f"{self.path}?after={after}"
        return {"next": {"after": after, "link": link}}


def names(sent: Any, what: str) -> list[str] | None:
    """A list of names in a body, or None. Raises Problem."""
    if sent is None:
        return None
    if not isinstance(sent, list) or not all(isinstance(one, str) for one in sent):
        raise invalid(f"{what}: a list of texts is required")
    return sent
