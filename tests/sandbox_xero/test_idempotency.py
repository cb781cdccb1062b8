"""Idempotency-Key: the first answer again for a few minutes, and no second effect."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox_xero.conftest import Xero, invoice, line


def put(xero: Xero, key: str, body: Any, path: str = "Invoices") -> Any:
    return xero.http.put(path, content=json.dumps(body), headers={"Idempotency-Key": key})


def count(xero: Xero) -> int:
    return len(xero.get("Invoices")["Invoices"])


def test_the_first_answer_comes_again(xero: Xero) -> None:
    body = {"Invoices": [invoice()]}
    first, second = put(xero, "k1", body), put(xero, "k1", body)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert count(xero) == 1
    assert put(xero, "k2", body).content != first.content
    assert count(xero) == 2


def test_it_is_remembered_over_a_restart(xero: Xero) -> None:
    body = {"Invoices": [invoice()]}
    first = put(xero, "k1", body)
    xero.sandbox.kill()
    xero.sandbox.start()
    assert put(xero, "k1", body).content == first.content


def test_a_refusal_comes_again_too(xero: Xero) -> None:
    body = {"Invoices": [invoice(DueDate=None)]}
    assert put(xero, "k1", body).content == put(xero, "k1", body).content
    assert put(xero, "k1", body).status_code == 400


def test_a_key_of_another_request_is_refused(xero: Xero) -> None:
    put(xero, "k1", {"Invoices": [invoice()]})
    other = put(xero, "k1", {"Invoices": [invoice(LineItems=[line("1.00")])]})
    assert other.status_code == 400
    assert other.json()["Message"] == "Idempotency Key: k1 is used with a different request."
    assert put(xero, "k1", {"Invoices": [invoice()]}, "Invoices?unitdp=4").status_code == 400


def test_after_some_minutes_the_key_is_forgotten(xero: Xero) -> None:
    body = {"Invoices": [invoice()]}
    put(xero, "k1", body)
    xero.settings(clock_offset_seconds=350)
    put(xero, "k1", body)
    assert count(xero) == 1
    xero.settings(clock_offset_seconds=370)
    put(xero, "k1", body)
    assert count(xero) == 2


def test_keys_have_at_most_128_characters(xero: Xero) -> None:
    body = {"Invoices": [invoice()]}
    assert put(xero, "k" * 129, body).status_code == 400
    assert put(xero, "k" * 128, body).status_code == 200


def test_keys_of_two_clients_do_not_meet(xero: Xero) -> None:
    xero.settings(clients={"other": {"secret": "sandbox-secret", "scopes": "accounting.transactions"}})
    body = {"Invoices": [invoice()]}
    put(xero, "k1", body)
    put(Xero(xero.sandbox, "other"), "k1", body)
    assert count(xero) == 2
