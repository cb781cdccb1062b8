"""Which live documents carry the natural keys of some items, many keys to a call, and how they differ from the sent.

A VOIDED or DELETED document is not live. An archived contact is still there: it is given, with its status as a
difference, so that a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tieout.connectors.answers import body_object
from tieout.connectors.base import Found, Operation, Record, Request
from tieout.connectors.wire import chunks
from tieout.connectors.xero.compare import differences
from tieout.connectors.xero.operations import SHAPES, Shape, key_of
from tieout.connectors.xero.read import by_ids, guid, is_guid, listed, text
from tieout.connectors.xero.sign_in import XeroSession

_DEAD = {"VOIDED", "DELETED"}


def look_up(session: XeroSession, operation: Operation, requests: Sequence[Request]) -> dict[str, list[Found]]:
    """See base.Target.look_up."""
    shape = SHAPES[operation.name]
    bodies = {request.doc_uid: body_object(request) or {} for request in requests}
    if operation.name == "credit_notes.allocate":
        return _allocations(session, bodies)
    # The body's own key is what Xero was given; the request's natural key stands in where the body has none.
    keys = {request.doc_uid: key_of(shape, bodies[request.doc_uid]) or request.natural_key for request in requests}
    there: dict[str, list[Record]] = {}
    for record in _candidates(session, shape, list(dict.fromkeys(keys.values()))):
        key = key_of(shape, record)
        if key is not None and (shape.key == shape.id or _is_live(shape, record)):
            there.setdefault(key, []).append(record)
    return {uid: [_found(shape, bodies[uid], record) for record in there.get(key, [])] for uid, key in keys.items()}


def _candidates(session: XeroSession, shape: Shape, keys: Sequence[str]) -> Iterable[Record]:
    obj = shape.object
    if shape.key == shape.id:
        yield from by_ids(session, obj, shape.key, keys)
        return
    plain = [key for key in keys if shape.key == "InvoiceNumber" and "," not in key and '"' not in key]
    for some in chunks(plain):
        yield from listed(session, obj, {"InvoiceNumbers": ",".join(some)})
    # A comma would part the list: such keys, and those that have no list of their own, go through a where.
    rest = [key for key in keys if key not in set(plain)]
    for some in chunks(rest, len(shape.key) + 12):
        yield from listed(session, obj, {"where": " OR ".join(f"{shape.key}=={text(key)}" for key in some)})


def _is_live(shape: Shape, record: Record) -> bool:
    if shape.answer == "Invoices" and record.get("Type") != "ACCREC":
        return False  # a supplier's bill may have any number
    if shape.answer == "CreditNotes" and record.get("Type") != "ACCRECCREDIT":
        return False
    return record.get("Status") not in _DEAD


def _found(shape: Shape, sent: Mapping[str, Any], record: Record) -> Found:
    differing = differences(sent, _as_sent(shape, record))
    if shape.answer == "Contacts" and "ContactStatus" not in sent and record.get("ContactStatus") != "ACTIVE":
        merged = record.get("MergedToContactID")
        status = f"{record.get('ContactStatus')}{f', merged into {merged}' if merged else ''}"
        differing = (*differing, ("ContactStatus", "ACTIVE", status))
    number = record.get(shape.number) if shape.number else None
    return Found(str(record.get(shape.id)).lower(), str(number) if number else None, record, differing)


def _as_sent(shape: Shape, record: Record) -> Record:
    """Xero shows the document of a payment as `Invoice`, also where it is a credit note."""
    paid = record.get("Invoice")
    if shape.answer != "Payments" or "CreditNote" in record or not isinstance(paid, dict):
        return record
    return {**record, "CreditNote": {"CreditNoteID": paid.get("InvoiceID")}}


def _allocations(session: XeroSession, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Found]]:
    notes = {uid: str((body.get("CreditNote") or {}).get("CreditNoteID", "")).lower() for uid, body in bodies.items()}
    wanted = [note for note in dict.fromkeys(notes.values()) if is_guid(note)]
    there: dict[str, Record] = {}
    for some in chunks(wanted, 26):
        where = " OR ".join(f"CreditNoteID=={guid(note)}" for note in some)
        there.update({str(r.get("CreditNoteID")).lower(): r for r in listed(session, "CreditNotes", {"where": where})})
    return {uid: _matching(body, notes[uid], there.get(notes[uid])) for uid, body in bodies.items()}


def _matching(sent: Mapping[str, Any], note: str, record: Record | None) -> list[Found]:
    invoice = str((sent.get("Invoice") or {}).get("InvoiceID", "")).lower()
    found = []
    for allocation in (record or {}).get("Allocations") or []:
        to = str((allocation.get("Invoice") or {}).get("InvoiceID", "")).lower()
        if to == invoice and allocation.get("IsDeleted") is not True:
            differing = differences({key: sent[key] for key in ("Amount", "Date") if key in sent}, allocation)
            vendor_id = str(allocation.get("AllocationID") or f"{note}/{invoice}").lower()
            found.append(Found(vendor_id, None, allocation, differing))
    return found
