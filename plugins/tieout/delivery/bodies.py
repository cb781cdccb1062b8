"""The bytes of a request: placeholders for documents that did not exist yet, and hashes of what is sent.

A body is frozen when its intent is made. `{{vendor_id:<doc_uid>}}` in it stands for the vendor's id of another
document; the crosswalk gives it, one to one and for ever, so the bytes of a retry are the bytes of the first send (S5).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection

_PLACEHOLDER = re.compile(rb"\{\{vendor_id:([^{}\s]{1,200})\}\}")


def placeholder(doc_uid: str) -> str:
    """What to write into a body where the vendor's id of another document belongs."""
    return "{{vendor_id:" + doc_uid + "}}"


def named_in(body: bytes) -> frozenset[str]:
    """The doc_uids whose vendor ids the body waits for."""
    return frozenset(found.decode() for found in _PLACEHOLDER.findall(body))


def vendor_ids(conn: Connection, target: str, doc_uids: Sequence[str]) -> dict[str, str]:
    """doc_uid -> the vendor's id, for those that the target's crosswalk has."""
    if not doc_uids:
        return {}
    rows = conn.exec_driver_sql(
        "select doc_uid, vendor_id from tieout.crosswalk where target = %(target)s and doc_uid = any(%(uids)s)",
        {"target": target, "uids": list(doc_uids)},
    )
    return {row.doc_uid: row.vendor_id for row in rows}


def fill(body: bytes, known: Mapping[str, str]) -> bytes:
    """The body with its placeholders replaced, as text inside a JSON string.

    Raises:
        KeyError: a placeholder is not in `known`; the claim admits no such intent.
    """
    if b"{{vendor_id:" not in body:
        return body
    return _PLACEHOLDER.sub(lambda found: json.dumps(known[found[1].decode()])[1:-1].encode(), body)


def digest(body: bytes) -> str:
    """SHA-256 of the bytes in hex."""
    return hashlib.sha256(body).hexdigest()


def batch_name(idempotency_keys: Sequence[str]) -> str:
    """One name for the attempts that left in one request, made of their keys: 64 hex digits."""
    return hashlib.sha256("\x1f".join(idempotency_keys).encode()).hexdigest()
