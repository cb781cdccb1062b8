"""Who did what to a document, and when: what Xero tells at .../History."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.xero.books import Books
from sandbox.xero.call import Call
from sandbox.xero.errors import NotFound
from sandbox.xero.wire import read_guid

#: Whose name stands where a client of the API has none of its own.
SYSTEM = "System Generated"


def note(books: Books, key: str, id_: str, changes: str, details: str, now: datetime) -> None:
    """Keeps one entry of a record; `key` as its endpoint is named."""
    table = books.state.table("History")
    kept = (table.get(f"{key}:{id_}") or {"Entries": []})["Entries"]
    entry = {"Changes": changes, "DateUTC": now, "User": books.user, "Details": details}
    table.put(f"{key}:{id_}", {"Entries": [*kept, entry]})


def listing(call: Call) -> dict[str, Any]:
    """GET /Invoices/{id}/History and the like: the newest first."""
    key, id_ = call.path[0], read_guid(call.path[1]) or ""
    if id_ not in call.books.state.table(key):
        raise NotFound
    kept = call.books.state.table("History").get(f"{key}:{id_}") or {"Entries": []}
    return {"HistoryRecords": list(reversed(kept["Entries"]))}
