"""One call as the endpoints see it, and what lists and batches have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sandbox.faults import Faults
from sandbox.state import Record
from sandbox.xero import query
from sandbox.xero.books import Books
from sandbox.xero.errors import BadCall, Refused, bad_json
from sandbox.xero.wire import new_id, parse, read_guid

STALE = 30  # seconds, when a stale_read fault does not say


@dataclass(frozen=True, slots=True)
class Call:
    """`path` is what follows /api.xro/2.0, in parts; query names are in lower case."""

    books: Books
    faults: Faults
    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    client: str
    now: datetime

    def flag(self, name: str, default: bool = False) -> bool:
        text = self.query.get(name.lower())
        return default if text is None else text.lower() == "true"

    def whole(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`. Raises BadCall."""
        text = self.query.get(name.lower(), str(default))
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise BadCall(10, "ValidationException", f"{name} must be a whole number from 1 to {most}")
        return int(text)

    @property
    def unit_places(self) -> int:
        return 4 if self.query.get("unitdp") == "4" else 2

    def values(self, name: str) -> list[str]:
        """A list in one parameter, separated by commas; quotes around a value are taken off."""
        return [part.strip().strip('"') for part in self.query.get(name.lower(), "").split(",") if part.strip()]

    def ids(self, name: str) -> set[str]:
        return {read_guid(value) or value for value in self.values(name)}

    def elements(self, key: str) -> list[Record]:
        """What was sent: {key: [..]}, a list, or one bare object. Raises BadCall."""
        sent = parse(self.body)
        if isinstance(sent, dict):
            sent = sent.get(key, sent)
        if isinstance(sent, dict):
            sent = [sent]
        if not isinstance(sent, list) or not all(isinstance(element, dict) for element in sent):
            raise bad_json(f"Expected an object with {key}")
        return sent

    def since(self) -> datetime | None:
        """If-Modified-Since, to the second; None without it. Raises BadCall."""
        text = self.headers.get("if-modified-since")
        if not text:
            return None
        try:
            moment = parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)
        except ValueError as error:
            raise BadCall(10, "ValidationException", "The If-Modified-Since header is not a valid date") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)

    def unseen_since(self) -> datetime | None:
        """When the plan says stale_read: what was created after this moment is not seen yet. Counts as a match."""
        stale = self.faults.take("stale_read", self.method, self.url)
        return None if stale is None else self.now - timedelta(seconds=float(stale.get("seconds", STALE)))

    @property
    def url(self) -> str:
        """The path as fault plans name it."""
        return "/api.xro/2.0/" + "/".join(self.path)


@dataclass(frozen=True, slots=True)
class Listing:
    """How one endpoint lists: its fields, and its records in short (no page) and in full (pages)."""

    key: str
    entity: str
    id: str
    fields: query.Fields
    short: Callable[[Record], Record]
    full: Callable[[Record], Record]
    search: Sequence[str] = ()


def list_records(call: Call, listing: Listing, records: Iterable[Record]) -> dict[str, Any]:
    """Filters, sorts and cuts the records as the query says: {key: [...], pagination?: {...}}."""
    kept = _filtered(call, listing, records)
    text = call.query.get("order")
    if text:
        kept = query.order(text, listing.entity, listing.fields, kept)
    elif "UpdatedDateUTC" in listing.fields:
        kept.sort(key=lambda record: (record["UpdatedDateUTC"], record[listing.id]))
    if "page" not in call.query and "pagesize" not in call.query:
        return {listing.key: [listing.short(record) for record in kept]}
    size = call.whole("pageSize", query.PAGE_SIZE, query.MAX_PAGE_SIZE)
    records_, info = query.page_of(call.whole("page", 1, 10**9), size, kept)
    view = listing.short if call.flag("summaryOnly") else listing.full
    return {"pagination": info, listing.key: [view(record) for record in records_]}


def _filtered(call: Call, listing: Listing, records: Iterable[Record]) -> list[Record]:
    since = call.since()
    kept = [r for r in records if since is None or r.get("UpdatedDateUTC", call.now) >= since]
    wanted = call.ids("IDs")
    if wanted:
        kept = [r for r in kept if r[listing.id] in wanted]
    if call.query.get("where"):
        test = query.where(call.query["where"], listing.entity, listing.fields)
        kept = [r for r in kept if test(r)]
    term = call.query.get("searchterm", "").lower()
    if term and listing.search:
        kept = [r for r in kept if any(term in (r.get(field) or "").lower() for field in listing.search)]
    newest = call.unseen_since()
    if newest is not None:
        kept = [r for r in kept if r.get("_created", newest) <= newest]
    return kept


def write_batch(
    call: Call,
    key: str,
    id_field: str,
    write: Callable[[Record], Record],
    error_flag: str = "HasErrors",
) -> tuple[int, dict[str, Any]]:
    """Writes each element on its own; (HTTP status, answer without the frame).

    One that is refused does not hinder the others, in either mode: with summarizeErrors (the default) the answer is
    then 400 with the refused elements only, without it 200 with all of them in order.
    """
    answers, refused = [], []
    for element in call.elements(key):
        try:
            answers.append(write(element) | {"StatusAttributeString": "OK"})
        except Refused as error:
            # Xero, too, gives the element an id that leads nowhere.
            bad: Record = {id_field: new_id()} | element | {"StatusAttributeString": "ERROR", error_flag: True}
            bad["ValidationErrors"] = [{"Message": message} for message in error.messages]
            answers.append(bad)
            refused.append(bad)
    if refused and call.flag("summarizeErrors", True):
        summary = BadCall(10, "ValidationException", "A validation exception occurred")
        return 400, summary.body() | {"Elements": refused}
    missing = call.faults.take("item_missing", call.method, call.url)
    if missing is not None and answers:
        del answers[int(missing.get("index", -1)) % len(answers)]
    return 200, {key: answers}
