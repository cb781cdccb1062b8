"""What a link needs of a system, as the caller of `findings(required=...)` states it; plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldNeed:
    """A field that has to be there.

    Attributes:
        type: the vendor's word (`string`, `currency`, `date` ...), None when any will do.
        length: at least so many characters.
        unique: has to be an External ID that is unique.
        writable: we write it.
    """

    type: str | None = None
    length: int = 0
    unique: bool = False
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Required:
    """What is examined beside the connection itself. Objects and fields are the CRM's, the rest the ledger's."""

    fields: Mapping[str, Mapping[str, FieldNeed]] = field(default_factory=dict)
    create: frozenset[str] = frozenset()  # objects in which records are made
    currencies: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    paid_from: frozenset[str] = frozenset()  # accounts that money goes out of
    tax_types: frozenset[str] = frozenset()
