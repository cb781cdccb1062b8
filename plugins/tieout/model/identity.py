"""Identity of documents and bytes: the same business fact has the same id in every run, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def doc_uid(tenant: str, system: str, object_type: str, source_id: str, kind: str, revision: int) -> str:
    """Identity of one document to post: 32 hex digits. Never made of a run id, a date, an attempt or a clock.

    Args:
        tenant: the link's name.
        system: the source's connection name.
        object_type: the source's object, `Order`.
        source_id: the record's id in the source (18 characters for Salesforce).
        kind: `customer`, `invoice`, `credit_memo`, `allocation`, `void`, `write_back`.
        revision: business revision, from 1.
    """
    return _digest(tenant, system, object_type, source_id, kind, str(revision))[:32]


def idempotency_key(doc: str, target: str, operation: str) -> str:
    """Key for the vendor's own guard: 32 hex digits; connectors cut it to what their vendor takes."""
    return _digest(doc, target, operation)[:32]


def canonical_json(value: Any) -> bytes:
    """The one byte form of a value: sorted keys, no blanks, UTF-8. Decimals must come as strings or ints."""
    return _CANONICAL.encode(value).encode()


#: json.dumps would make one for each value.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(value: Any) -> str:
    """SHA-256 of `canonical_json(value)` in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _digest(*parts: str) -> str:
    # The unit separator cannot stand in a vendor's id: no two different tuples give the same text.
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
