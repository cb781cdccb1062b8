"""What a loader of data is told of each record; shared by the CRMs' load.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What became of one record of a loader's create, update or upsert. `errors`: (code, message) pairs."""

    success: bool
    id: str | None
    created: bool
    errors: tuple[tuple[str, str], ...]

    @property
    def error(self) -> str:
        """All errors as one text; empty when there are none."""
        return "; ".join(f"{code}: {message}" for code, message in self.errors)
