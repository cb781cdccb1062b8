"""What the simulated ledger keeps: documents with all their versions, and what was sent to it."""

from __future__ import annotations

from dataclasses import dataclass

from tieout.connectors.base import Request


@dataclass(frozen=True, slots=True)
class Version:
    """A document as it was from an instant on."""

    at: float
    body: bytes
    live: bool


class Document:
    """A vendor's document with all its versions. `stamp` is the doc_uid that made it; None when a person did."""

    __slots__ = ("natural_key", "stamp", "vendor_id", "versions")

    def __init__(self, vendor_id: str, natural_key: str, stamp: str | None, body: bytes, at: float) -> None:
        self.vendor_id, self.natural_key, self.stamp = vendor_id, natural_key, stamp
        self.versions = [Version(at, body, True)]

    @property
    def body(self) -> bytes:
        return self.versions[-1].body

    @body.setter
    def body(self, body: bytes) -> None:
        """As a person changes it: seen at once."""
        self.versions.append(Version(float("-inf"), body, self.is_live))

    @property
    def is_live(self) -> bool:
        return self.versions[-1].live

    def seen(self, at: float) -> Version | None:
        """The version that a look-up shows that sees no further than `at`."""
        return next((version for version in reversed(self.versions) if version.at <= at), None)


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that reached, or were to reach, the ledger. Times in seconds: true, and by the database's clock."""

    at: float
    request: Request
    fault: str
    by: str = ""
    database_at: float = 0.0
