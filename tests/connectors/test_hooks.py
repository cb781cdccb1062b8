"""Webhooks as vendors document them: whose they are, and which records they name; whatever else comes is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tieout.connectors.hooks import hubspot, vendors
from tieout.connectors.hooks.notices import Delivery, Notice, Unreadable
from tieout.connectors.hooks.vendors import HOOKS
from tieout.model.connection import Connection

KEY, OLD_KEY = "key of the app", "key before"
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
URL = "https://tieout.example/tieout/hooks/portal"
BODY = b'{"events": [], "entropy": "\xc3\xa9"}'


def mac(key: str, content: bytes) -> str:
    """As the vendors' pages describe it; not by the code under test."""
    return base64.b64encode(hmac.new(key.encode(), content, hashlib.sha256).digest()).decode()


def stamp(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def delivery(system: str, key: str = KEY, body: bytes = BODY, at: datetime = NOW, **changed: Any) -> Delivery:
    if system == "hubspot":
        signature = mac(key, b"POST" + URL.encode() + body + stamp(at).encode())
        headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp(at)}
    else:
        headers = {{"xero": "x-xero-signature", "quickbooks": "intuit-signature"}[system]: mac(key, body)}
    given = {"method": "POST", "url": URL, "headers": headers, "body": body, **changed}
    return Delivery(**given)


def refusal(system: str, one: Delivery, *keys: str, now: datetime = NOW) -> str | None:
    return HOOKS[system].refusal(one, keys or (KEY,), now)


@pytest.mark.parametrize("system", sorted(HOOKS))
@pytest.mark.proves(
    "a webhook's signature is verified, by the key before as well; another one is refused", scenario="webhooks"
)
def test_a_right_signature_is_taken_also_by_the_key_before_and_no_other(system: str) -> None:
    assert refusal(system, delivery(system)) is None
    assert refusal(system, delivery(system, OLD_KEY), KEY, OLD_KEY) is None
    assert refusal(system, delivery(system, OLD_KEY)) == "wrong_signature"
    assert refusal(system, delivery(system, "")) == "wrong_signature"


@pytest.mark.parametrize("system", sorted(HOOKS))
@pytest.mark.proves("a touched body and a missing or nonsense header are refused", scenario="webhooks")
def test_a_body_that_was_touched_or_a_header_that_is_missing_or_nonsense_is_refused(system: str) -> None:
    good = delivery(system)
    assert refusal(system, delivery(system, headers=good.headers, body=BODY + b" ")) == "wrong_signature"
    assert refusal(system, delivery(system, headers={})) == "no_signature"
    for nonsense in ("x", "ä" * 20, "=" * 44, good.headers[next(iter(good.headers))] + "="):
        headers = {**good.headers, next(iter(good.headers)): nonsense}
        assert refusal(system, delivery(system, headers=headers)) == "wrong_signature"


@pytest.mark.parametrize(
    ("age", "expected"),
    [(timedelta(0), None), (timedelta(minutes=5), None), (timedelta(minutes=5, milliseconds=1), "too_old"),
     (timedelta(minutes=-6), "too_old"), (timedelta(days=3), "too_old")],
)  # fmt: skip
def test_hubspots_delivery_is_at_most_five_minutes_old(age: timedelta, expected: str | None) -> None:
    assert refusal("hubspot", delivery("hubspot", at=NOW - age)) == expected


@pytest.mark.parametrize("text", ["", "now", "-1", "1e12", "9" * 40, "٣"])
def test_hubspots_time_stamp_has_to_be_one(text: str) -> None:
    headers = {**delivery("hubspot").headers, "x-hubspot-request-timestamp": text}
    assert refusal("hubspot", delivery("hubspot", headers=headers)) == "no_time_stamp"


def test_hubspot_signs_method_and_address_too() -> None:
    assert refusal("hubspot", delivery("hubspot", method="PUT")) == "wrong_signature"
    assert refusal("hubspot", delivery("hubspot", url=URL + "2")) == "wrong_signature"
    assert refusal("hubspot", delivery("hubspot", url=URL.replace("/hooks", "%2Fhooks"))) is None
    assert refusal("hubspot", delivery("hubspot", url=URL + "%20")) == "wrong_signature"


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.proves("its documented events name the records to read", scenario="webhooks", systems=("xero",))
def test_xeros_events_name_endpoint_id_and_tenant() -> None:
    events = [
        {"resourceId": "i-1", "eventCategory": "INVOICE", "eventType": "UPDATE", "tenantId": "t"},
        {"resourceId": "c-1", "eventCategory": "CONTACT", "eventType": "CREATE", "tenantId": "t"},
        {"resourceId": "s-1", "eventCategory": "SUBSCRIPTION", "eventType": "CREATE", "tenantId": "t"},
    ]
    assert HOOKS["xero"].notices(body({"events": events, "lastEventSequence": 3})) == [
        Notice("t", "Invoices", "i-1"), Notice("t", "Contacts", "c-1"), Notice("t", "SUBSCRIPTION", "s-1"),
    ]  # fmt: skip
    assert HOOKS["xero"].notices(body({"events": [], "entropy": "S0m3r4ndomT3xt"})) == []


@pytest.mark.proves("its documented events name the records to read", scenario="webhooks", systems=("hubspot",))
def test_hubspots_events_name_objects_merges_and_associations() -> None:
    events = [
        {"subscriptionType": "deal.propertyChange", "objectId": 11, "portalId": 7, "propertyName": "amount"},
        {"subscriptionType": "object.creation", "objectTypeId": "0-123", "objectId": 12, "portalId": 7},
        {"subscriptionType": "company.merge", "objectId": 20, "primaryObjectId": 21, "mergedObjectIds": [22, 23],
         "newObjectId": 20, "portalId": 7},
        {"subscriptionType": "deal.associationChange", "fromObjectId": 30, "toObjectId": 31, "portalId": 7},
        {"subscriptionType": "object.deletion", "objectTypeId": "2-99", "objectId": 40},
    ]  # fmt: skip
    assert HOOKS["hubspot"].notices(body(events)) == [
        Notice("7", "deals", "11"), Notice("7", "orders", "12"), Notice("7", "companies", "20"),
        Notice("7", "companies", "21"), Notice("7", "companies", "20"), Notice("7", "companies", "22"),
        Notice("7", "companies", "23"), Notice("7", "deals", "30"), Notice(None, "2-99", "40"),
    ]  # fmt: skip


def test_hubspots_repetition_is_the_same_delivery() -> None:
    first, second = (body([{"eventId": 1, "objectId": 11, "attemptNumber": number}]) for number in (0, 12))
    assert hubspot.identity(first) == hubspot.identity(second) != hubspot.identity(body([{"eventId": 2}]))


@pytest.mark.proves("its documented events name the records to read", scenario="webhooks", systems=("quickbooks",))
def test_both_of_intuits_shapes_are_understood() -> None:
    older = {"eventNotifications": [{"realmId": "4620816365", "dataChangeEvent": {"entities": [
        {"name": "Invoice", "id": "95", "operation": "Void", "lastUpdated": "2026-03-31T12:00:00.000Z"},
        {"name": "Customer", "id": "1", "deletedId": "2", "operation": "Merge"},
    ]}}]}  # fmt: skip
    assert HOOKS["quickbooks"].notices(body(older)) == [
        Notice("4620816365", "Invoice", "95"), Notice("4620816365", "Customer", "1"),
        Notice("4620816365", "Customer", "2"),
    ]  # fmt: skip
    newer = [
        {"specversion": "1.0", "type": "qbo.invoice.created.v1", "intuitentityid": "95", "intuitaccountid": "310687"},
        {"specversion": "1.0", "type": "qbo.creditmemo.voided.v1", "intuitentityid": "96", "intuitaccountid": "310687"},
    ]
    assert HOOKS["quickbooks"].notices(body(newer)) == [
        Notice("310687", "Invoice", "95"), Notice("310687", "CreditMemo", "96"),
    ]  # fmt: skip


@pytest.mark.parametrize("system", sorted(HOOKS))
@pytest.mark.parametrize(
    "sent",
    [b"", b"not json of Mr Secret", b"\xff\xfe", b"null", b"3", b'"x"', b"[3]", b"[" * 100_000, b'{"events": 3}',
     b'{"events": [{}]}', b'[{"subscriptionType": "deal.creation", "type": "qbo"}]', b'{"eventNotifications": [{}]}',
     b'{"eventNotifications": [{"realmId": "1", "dataChangeEvent": {"entities": {}}}]}',
     b'[{"subscriptionType": "deal.merge", "objectId": 1, "mergedObjectIds": 3, "type": true}]'],
)  # fmt: skip
def test_what_is_not_documented_is_unreadable_and_is_not_repeated_in_the_message(system: str, sent: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        HOOKS[system].notices(sent)
    assert "Secret" not in str(caught.value)


def test_a_connection_without_a_key_takes_nothing_whatever_key_was_before() -> None:
    def keys(**extra: Any) -> tuple[str, ...]:
        return vendors.keys(Connection("x", "xero", "https://x", "", "", extra))

    assert keys() == keys(webhook_key="") == keys(webhook_key=None, webhook_key_before="b") == ()
    assert keys(webhook_key=" a ") == ("a",) and keys(webhook_key="a", webhook_key_before="b") == ("a", "b")
