"""Idempotency-Key: the first answer again, for a few minutes; never a second effect.

The answer is kept in the transaction that has the effects, so a killed sandbox cannot know one without the other.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sandbox.xero.call import Call
from sandbox.xero.errors import BadCall

MAX_KEY = 128  # characters
TABLE = "idempotency"


def first_answer(call: Call) -> tuple[int, str] | None:
    """The answer that this key got before, if it is still kept. Raises BadCall for a key of another request."""
    key = _key(call)
    if key is None:
        return None
    if len(call.headers["idempotency-key"]) > MAX_KEY:
        raise BadCall(10, "ValidationException", f"Idempotency Key must not exceed {MAX_KEY} characters.")
    _forget_old(call)
    kept = call.books.state.table(TABLE).get(key)
    if kept is None:
        return None
    if kept["request"] != _request(call):
        given = call.headers["idempotency-key"]
        raise BadCall(10, "ValidationException", f"Idempotency Key: {given} is used with a different request.")
    return kept["status"], kept["body"]


def keep(call: Call, status: int, body: str) -> None:
    """Remembers the answer. Call inside the transaction of the effects."""
    key = _key(call)
    if key is not None:
        kept = {"at": call.now, "request": _request(call), "status": status, "body": body}
        call.books.state.table(TABLE).put(key, kept)


def _key(call: Call) -> str | None:
    given = call.headers.get("idempotency-key")
    return f"{call.client}:{given}" if given and call.method != "GET" else None


def _request(call: Call) -> str:
    query = sorted(call.query.items())
    return hashlib.sha256(repr((call.method, call.path, query)).encode() + call.body).hexdigest()


def _forget_old(call: Call) -> None:
    table = call.books.state.table(TABLE)
    oldest = call.now - timedelta(seconds=float(call.books.setting("idempotency_seconds")))
    old = []
    for key, kept in table.items():  # in order of time
        if kept["at"] > oldest:
            break
        old.append(key)
    for key in old:
        table.delete(key)
