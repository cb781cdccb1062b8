"""`/_sandbox/...`: what no call of Salesforce does: metadata, dirt, clients, merges, ending all sessions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.salesforce import ids, metadata, oauth
from sandbox.salesforce.access import Access
from sandbox.salesforce.errors import ApiError, Refused
from sandbox.salesforce.fields import NUMBER_TYPES, SObject
from sandbox.salesforce.org import USER_ID, Org
from sandbox.salesforce.saving import merge, number_it, unit
from sandbox.salesforce.values import canonical, parse_instant, stamp
from sandbox.salesforce.wire import Reply, decode

_ALL = Access("sandbox", USER_ID, {}, frozenset())


def open_door(org: Org, method: str, path: str, body: bytes) -> Reply:
    """Answers a call to a door; errors are `{"error": "..."}`."""
    name, _, rest = path.strip("/").partition("/")
    try:
        if name == "metadata" and method == "GET":
            return Reply(value=list(org.table("_metadata").values()))
        if name == "raw" and method == "GET":
            return Reply(value=list(org.table(_object(org, rest).name).values()))
        if method != "POST":
            return Reply(405, {"error": "POST is expected"})
        if name == "validation-rules":
            return _metadata(org, metadata.validation_rule(_object(org, rest).name, body))
        given = decode(body) if body else {}
        if name == "metadata":
            return _metadata(org, given)
        if name == "raw":
            return _raw(org, _object(org, rest), given)
        if name == "clients":
            oauth.register(org, given)
            return Reply(value={"registered": given["consumer_key"]})
        if name == "expire":
            return Reply(value={"expired": oauth.expire_all(org)})
        if name == "lock":
            locked = {ids.normal(one) or one: int(given.get("times", 1)) for one in given["ids"]}
            org.memory.setdefault("locks", {}).update(locked)
            return Reply(value={"locked": sorted(locked)})
        if name == "merge":
            return _merge(org, given)
    except Refused as error:
        return Reply(400, {"error": "; ".join(problem.message for problem in error.problems)})
    except (ValueError, KeyError, TypeError, AttributeError, ApiError) as error:  # a body of another shape
        return Reply(400, {"error": f"{type(error).__name__}: {error}"})
    return Reply(
        404, {"error": f"no door {name!r}; there are metadata, validation-rules, raw, clients, expire, merge, lock"}
    )


def _metadata(org: Org, given: Any) -> Reply:
    table = org.table("_metadata")
    schema = metadata.schema([*table.values(), given])  # refuses a wrong document before it is kept
    table.put(f"{len(table) + 1:06d}", given)
    org.load_schema()
    return Reply(value={"objects": sorted(schema.objects)})


def _raw(org: Org, sobject: SObject, given: Any) -> Reply:
    records = given.get("records", [given])
    with org.state.transaction():
        found = [_put(org, sobject, one) for one in records]
    org.memory.pop("decimals", None)
    return Reply(value={"ids": found})


def _put(org: Org, sobject: SObject, given: Mapping[str, Any]) -> str:
    values = {key: _plain(sobject, key, value) for key, value in given.items() if key != "attributes"}
    table = org.table(sobject.name)
    id_ = values.pop("Id", None)
    id_ = ids.normal(id_) or id_ if id_ else org.new_id(sobject)
    old = table.get(id_)
    if old is None:
        now = org.stamp_now()
        old = {"Id": id_, **{one.name: one.default for one in sobject.fields.values() if one.default is not None}}
        if "CurrencyIsoCode" in sobject.fields:
            old["CurrencyIsoCode"] = org.setting("corporate_currency")
        old |= {"IsDeleted": False, "CreatedDate": now, "CreatedById": USER_ID, "LastModifiedDate": now}
        old |= {"LastModifiedById": USER_ID, "SystemModstamp": now}
        if "OwnerId" in sobject.fields:
            old["OwnerId"] = USER_ID
    new = {**old, **values}
    number_it(org, sobject, new)
    table.put(id_, new)
    return str(id_)


def _plain(sobject: SObject, name: str, value: Any) -> Any:
    """As it came, but in the form in which this organisation keeps such values, where it is one."""
    field = sobject.fields.get(name)
    if field is None or value is None or isinstance(value, bool):
        return value
    if field.type in NUMBER_TYPES and not isinstance(value, str):
        return canonical(Decimal(value))
    if field.type == "datetime" and isinstance(value, str):
        moment = parse_instant(value.replace("Z", "+00:00"))
        return stamp(moment) if moment else value
    if field.type == "reference" and isinstance(value, str):
        return ids.normal(value) or value
    return value


def _merge(org: Org, given: Mapping[str, Any]) -> Reply:
    sobject = _object(org, given.get("object", "Account"))
    master, *losers = (ids.normal(one) or one for one in (given["master"], *given["losers"]))
    with unit(org, _ALL) as work:
        merge(work, sobject, master, losers)
    return Reply(value={"master": master, "merged": losers})


def _object(org: Org, name: str) -> SObject:
    found = org.schema.find(name)
    if found is None:
        raise ValueError(f"there is no object {name!r}")
    return found
