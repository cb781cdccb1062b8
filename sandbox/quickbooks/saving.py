"""Create, full update, sparse update, void and delete of one record: what they share, then the entity's own rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.quickbooks import documents, money, names, postings, purchases, reference
from sandbox.quickbooks.books import TRANSACTIONS, Books
from sandbox.quickbooks.errors import bad_id, missing, not_found, stale, unknown_operation, unsupported
from sandbox.quickbooks.wire import typed
from sandbox.state import Record

_SERVERS = ("MetaData", "domain", "sparse", "status", "SyncToken")  # a client's word for these is not taken
_BUILDERS: Mapping[str, Callable[[Books, Record, Record | None], Record]] = {
    "Customer": names.build_customer,
    "Item": names.build_item,
    "Account": reference.build_account,
    "Term": reference.build_term,
    "CompanyCurrency": reference.build_currency,
}
_DOCUMENTS = ("Invoice", "CreditMemo", "RefundReceipt")
WRITABLE = (*_DOCUMENTS, "Payment", "Purchase", *_BUILDERS, "ExchangeRate")


def write(books: Books, entity: str, operation: str, body: Any, options: str = "") -> Record:
    """One write; the answer's object. `options`: `include` of the URL, `optionsData` of a batch. Raises Refused."""
    if entity not in WRITABLE:
        raise unknown_operation(f"{operation or 'create'} of {entity}")
    if not isinstance(body, dict):
        raise unsupported("Property Name:failed to parse json object; the body must be an object")
    if entity == "ExchangeRate":
        return books.view(reference.save_exchange_rate(books, body))
    if operation == "delete":
        old = _old(books, entity, body)
        _delete(books, entity, old)
        return {"Id": old["Id"], "status": "Deleted", "domain": "QBO"}
    if operation == "void" or (operation in ("", "update") and "void" in options.split(",")):
        return books.view(_void(books, entity, _old(books, entity, body)))
    if operation not in ("", "create", "update"):
        raise unknown_operation(operation)
    given = typed(entity, body)
    if operation == "update" and not given.get("Id"):
        raise missing("Id")
    known = _old(books, entity, given) if given.get("Id") and operation != "create" else None
    sent = set(given)
    given = {key: value for key, value in given.items() if key not in (*_SERVERS, "Id")}
    if known is not None and body.get("sparse") in (True, "true"):
        given = {key: value for key, value in known.items() if key not in _SERVERS and key[0] != "_"} | given
    else:
        sent |= {"Line"}
    return books.view(_save(books, entity, given, known, sent, "allowduplicatedocnum" in options.split(",")))


def _save(books: Books, entity: str, given: Record, old: Record | None, sent: set[str], allow: bool) -> Record:
    if entity in _DOCUMENTS:
        return documents.save(books, entity, given, old, sent, allow)
    if entity == "Payment":
        return money.save(books, given, old)
    if entity == "Purchase":
        return purchases.save(books, given, old, allow)
    record = _BUILDERS[entity](books, given, old)
    if old is not None:
        return books.put(entity, record | {key: old[key] for key in ("Id", "SyncToken", "MetaData")}, "Update")
    record = books.put(entity, record | {"Id": books.next_id(entity)}, "Create")
    if entity == "Customer":
        books.receivables(record["CurrencyRef"]["value"])
    if record.get("Type") == "Inventory" and entity == "Item":
        postings.opening(books, record)
    return record


def _old(books: Books, entity: str, given: Mapping[str, Any]) -> Record:
    """The record that is there, in the version that the client knows. Raises Refused 610, 5010, 2020."""
    id_, token = given.get("Id"), given.get("SyncToken")
    if id_ is None or id_ == "":
        raise missing("Id")
    if not str(id_).isdecimal():
        raise bad_id(id_)
    old = books.table(entity).get(str(id_))
    if old is None:
        raise not_found()
    if token is None or token == "":
        raise missing("SyncToken")
    if str(token) != old["SyncToken"]:
        raise stale()
    return old


def _void(books: Books, entity: str, old: Record) -> Record:
    if entity == "Payment":
        return money.void(books, old)
    if entity not in _DOCUMENTS:
        raise unknown_operation(f"void of {entity}")
    return documents.void(books, entity, old)


def _delete(books: Books, entity: str, old: Record) -> None:
    if entity not in TRANSACTIONS:
        raise unknown_operation(f"delete of {entity}")
    if entity == "Payment":
        money.delete(books, old)
    elif entity == "Purchase":
        purchases.delete(books, old)
    else:
        documents.delete(books, entity, old)
