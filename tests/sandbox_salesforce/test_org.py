"""Tokens, rights, limits, metadata, describe, replication, the page, faults."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.testclient import TestClient

from sandbox.faults import FaultPlan, Faults
from sandbox.salesforce.app import check_settings, create_app, seed
from sandbox.state import State
from tests.sandbox_salesforce.conftest import ROOT, Api, Shop

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN = "/services/oauth2/token"


def test_client_credentials(api: Api) -> None:
    form = {"grant_type": "client_credentials"}
    basic = base64.b64encode(b"sandbox-consumer:sandbox-secret").decode()
    answer = api.client.post(TOKEN, data=form, headers={"Authorization": f"Basic {basic}"}).json()
    assert set(answer) == {"access_token", "instance_url", "id", "token_type", "issued_at", "scope"}
    assert answer["instance_url"] == "http://testserver" and answer["token_type"] == "Bearer"
    wrong = api.client.post(TOKEN, data={**form, "client_id": "sandbox-consumer", "client_secret": "x"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")
    assert api.client.post(TOKEN, data={**form, "client_id": "x"}).json()["error"] == "invalid_client_id"
    assert api.client.post(TOKEN, data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"


def assertion(key: rsa.RSAPrivateKey, **claims: Any) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    signed = f"{part({'alg': 'RS256'})}.{part(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_signed_assertions(api: Api) -> None:
    key, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    style = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, style).decode()
    api.door("clients", {"consumer_key": "jwt", "username": "me@example.com", "public_key": pem})
    soon = int((api.state.clock() + timedelta(minutes=3)).timestamp())
    claims = {"iss": "jwt", "sub": "me@example.com", "aud": "https://login.salesforce.com", "exp": soon}

    def ask(signer: rsa.RSAPrivateKey, **changes: Any) -> tuple[int, dict[str, Any]]:
        text = assertion(signer, **{**claims, **changes})
        answer = api.client.post(TOKEN, data={"grant_type": JWT, "assertion": text})
        return answer.status_code, answer.json()

    status, answer = ask(key)
    assert status == 200
    assert api.call("GET", "limits", headers={"Authorization": f"Bearer {answer['access_token']}"})[0] == 200
    assert ask(key, aud="http://testserver")[0] == 200
    assert ask(other) == (400, {"error": "invalid_grant", "error_description": "invalid assertion"})
    assert ask(key, exp=soon - 3600)[1]["error_description"] == "expired authorization code"
    assert ask(key, aud="https://example.com")[1]["error_description"] == "audience is invalid"
    assert ask(key, sub="you@example.com")[1]["error_description"] == "user hasn't approved this consumer"
    assert ask(key, iss="nobody")[1]["error"] == "invalid_client_id"


def test_tokens_end(api: Api) -> None:
    expired = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert api.call("GET", "limits")[0] == 200
    assert api.call("GET", "limits", headers={"Authorization": "Bearer x"}) == (401, expired)
    api.door("expire", {})
    assert api.call("GET", "limits") == (401, expired)
    api.login()
    api.state.settings["clock_offset_seconds"] = 7201
    assert api.call("GET", "limits") == (401, expired)
    api.login()
    given = api.client.headers["Authorization"].partition(" ")[2]
    assert api.client.post("/services/oauth2/revoke", data={"token": given}).status_code == 200
    assert api.call("GET", "limits") == (401, expired)
    assert api.client.get(f"{ROOT}/limits", headers={"Authorization": ""}).status_code == 401


def test_a_client_may_lack_rights(api: Api, shop: Shop) -> None:
    rights = {"Order": ["read"], "Contact": []}
    client = {"consumer_key": "poor", "consumer_secret": "s", "objects": rights, "hidden_fields": ["Account.Site"]}
    api.door("clients", client)
    order = shop.order()
    api.login("poor", "s")
    assert api.column("SELECT Id FROM Order") == [order]
    body = {"Description": "x"}
    status, code, message = api.refusal("PATCH", f"sobjects/Order/{order}", body)
    assert (status, code) == (403, "INSUFFICIENT_ACCESS_OR_READONLY")
    assert message == "insufficient access rights on object id"
    records = {"records": [{"attributes": {"type": "Order"}, "id": order, **body}]}
    _, items = api.call("PATCH", "composite/sobjects", records)
    assert items[0]["errors"][0]["statusCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"
    assert api.refusal("DELETE", f"sobjects/Order/{order}")[0] == 403
    assert api.refusal("GET", "query", params={"q": "SELECT Id FROM Contact"})[1] == "INVALID_TYPE"
    assert api.refusal("POST", "sobjects/Contact", {"LastName": "x"})[:2] == (404, "NOT_FOUND")
    assert api.refusal("GET", "query", params={"q": "SELECT Site FROM Account"})[1] == "INVALID_FIELD"
    assert api.refusal("PATCH", f"sobjects/Account/{shop.account}", {"Site": "x"})[1] == "INVALID_FIELD"
    described = api.call("GET", "sobjects/Order/describe")[1]
    assert described["createable"] is False and not any(one["updateable"] for one in described["fields"])
    shown = {one["name"] for one in api.call("GET", "sobjects/Account/describe")[1]["fields"]}
    assert "Site" not in shown and "Name" in shown
    assert "Contact" not in {one["name"] for one in api.call("GET", "sobjects")[1]["sobjects"]}


def test_the_allowance(api: Api) -> None:
    api.state.settings["api_allowance"] = 3
    headers = [api.client.get(f"{ROOT}/limits").headers["Sforce-Limit-Info"] for _ in range(3)]
    assert headers == ["api-usage=1/3", "api-usage=2/3", "api-usage=3/3"]
    error = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    assert api.call("GET", "limits") == (403, error)
    api.state.settings["clock_offset_seconds"] = 24 * 3600
    api.login()
    assert api.call("GET", "limits")[1]["DailyApiRequests"] == {"Max": 3, "Remaining": 2}


def test_versions(api: Api) -> None:
    versions = [one["version"] for one in api.call("GET", "/services/data")[1]]
    assert versions == [f"{number}.0" for number in range(59, 68)]
    assert api.call("GET", "/services/data/v67.0")[1]["sobjects"] == "/services/data/v67.0/sobjects"
    assert api.refusal("GET", "/services/data/v58.0/limits")[:2] == (404, "NOT_FOUND")
    assert api.refusal("GET", f"query?q={'x' * 16_400}")[0] == 414


def test_metadata_makes_objects_and_fields(api: Api, shop: Shop) -> None:
    fields = [
        {"name": "Key__c", "type": "Text", "length": 36, "externalId": True, "unique": True},
        {
            "name": "Account__c",
            "type": "Lookup",
            "referenceTo": "Account",
            "childRelationshipName": "Ledger_Invoices__r",
        },
        {"name": "Total__c", "type": "Currency", "precision": 18, "scale": 2},
    ]
    name_field = {"type": "AutoNumber", "format": "LI-{00000}"}
    api.door("metadata", {"objects": [{"name": "Ledger_Invoice__c", "nameField": name_field, "fields": fields}]})
    made = api.create("Ledger_Invoice__c", Key__c="k", Account__c=shop.account, Total__c="12.345")
    assert made.startswith("a00")
    record = api.query("SELECT Name, Total__c, Account__r.Name, CurrencyIsoCode FROM Ledger_Invoice__c")[0]
    assert (record["Name"], str(record["Total__c"]), record["Account__r"]["Name"]) == ("LI-00001", "12.35", "Acme")
    children = api.query("SELECT Id, (SELECT Key__c FROM Ledger_Invoices__r) FROM Account")[0]["Ledger_Invoices__r"]
    assert children["records"][0]["Key__c"] == "k"
    described = {one["name"]: one for one in api.call("GET", "sobjects/Ledger_Invoice__c/describe")[1]["fields"]}
    key, total, account = described["Key__c"], described["Total__c"], described["Account__c"]
    assert (key["type"], key["length"], key["externalId"], key["unique"], key["custom"]) == (
        "string",
        36,
        True,
        True,
        True,
    )
    assert (total["type"], total["precision"], total["scale"], total["nillable"]) == ("currency", 18, 2, True)
    assert (account["referenceTo"], account["relationshipName"]) == (["Account"], "Account__r")
    assert described["Name"]["autoNumber"] and not described["Name"]["createable"]
    assert {"USD", "EUR"} <= {one["value"] for one in described["CurrencyIsoCode"]["picklistValues"]}


@pytest.mark.parametrize(
    "document",
    [
        {"fields": {"Nope": []}},
        {"fields": {"Account": [{"name": "X", "type": "Text"}]}},
        {"fields": {"Account": [{"name": "X__c", "type": "Paint"}]}},
        {"fields": {"Account": [{"name": "X__c", "type": "Lookup", "referenceTo": "Nope"}]}},
        {"fields": {"Account": [{"name": "X__c", "type": "Text", "colour": 1}]}},
        {"rules": [{"object": "Order", "name": "r", "when": [{"field": "Nope", "blank": True}], "message": "m"}]},
        {"surprise": []},
    ],
)
def test_wrong_metadata_changes_nothing(api: Api, document: dict[str, Any]) -> None:
    status, body = api.call("POST", "/_sandbox/metadata", document)
    assert status == 400 and body["error"]
    assert api.call("GET", "/_sandbox/metadata")[1] == []
    assert api.create("Account", Name="still works")


def test_updated_and_deleted(api: Api) -> None:
    gone, kept = api.create("Account", Name="Gone"), api.create("Account", Name="Kept")
    api.call("DELETE", f"sobjects/Account/{gone}")
    now = api.state.clock()
    span = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(minutes=2)).isoformat()}
    status, body = api.call("GET", "sobjects/Account/updated/", params=span)
    assert status == 200 and body["ids"] == [kept]
    assert datetime.strptime(body["latestDateCovered"], "%Y-%m-%dT%H:%M:%S.%f%z") <= now
    _, body = api.call("GET", "sobjects/Account/deleted/", params=span)
    assert [one["id"] for one in body["deletedRecords"]] == [gone]
    assert set(body) == {"deletedRecords", "earliestDateAvailable", "latestDateCovered"}
    early = {**span, "start": (now - timedelta(days=16)).isoformat()}
    assert api.refusal("GET", "sobjects/Account/deleted", params=early)[1] == "INVALID_REPLICATION_DATE"
    short = {"start": span["start"], "end": span["start"]}
    assert api.refusal("GET", "sobjects/Account/updated", params=short)[1] == "INVALID_REPLICATION_DATE"


@pytest.mark.parametrize("body", [[], None, {"records": [None]}, {"fields": 5}, {"object": 5}])
def test_doors_refuse_bodies_of_another_shape(api: Api, body: Any) -> None:
    for door in ("metadata", "raw/Account", "clients", "merge", "lock"):
        status, answer = api.call("POST", f"/_sandbox/{door}", body)
        assert status in (200, 400), (door, answer)
    assert api.call("POST", "/_sandbox/nope", {})[0] == 404


def test_the_page_escapes_what_it_shows(api: Api) -> None:
    api.create("Account", Name="<script>alert(1)</script>")
    text = api.client.get("/").text
    assert "&lt;script&gt;alert(1)" in text and "<script>" not in text and "http" not in text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("status_429", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("error_500", 500, "UNKNOWN_EXCEPTION"),
        ("expired_token", 401, "INVALID_SESSION_ID"),
    ],
)
def test_faults_have_the_words_of_salesforce(api: Api, fault: str, status: int, code: str) -> None:
    api.plan.load({"rules": [{"fault": fault, "times": 1}]})
    assert api.refusal("POST", "sobjects/Account", {"Name": "A"})[:2] == (status, code)
    assert api.query("SELECT Id FROM Account") == []


def test_settings_are_checked(api: Api) -> None:
    assert check_settings(api.state, {"api_allowance": 5}) == {"api_allowance": 5}
    for wrong in ({"nope": 1}, {"api_allowance": -1}, {"token_seconds": "x"}):
        with pytest.raises(ValueError, match="salesforce"):
            check_settings(api.state, wrong)


def test_everything_is_there_after_a_restart(api: Api, shop: Shop, tmp_path: Path) -> None:
    api.door("metadata", {"fields": {"Order": [{"name": "Freight__c", "type": "Currency"}]}})
    order = shop.order(Freight__c="9.99")
    shop.line(order, 3, "1.11")
    before = api.get("Order", order)
    token = api.client.headers["Authorization"]
    state = State(tmp_path / "salesforce.sqlite")
    with TestClient(create_app(state, Faults(FaultPlan(), "salesforce")), headers={"Authorization": token}) as client:
        assert (
            client.get(f"{ROOT}/sobjects/Order/{order}").content
            == api.client.get(f"{ROOT}/sobjects/Order/{order}").content
        )
        made = client.post(f"{ROOT}/sobjects/Account", json={"Name": "next"}).json()["id"]
    state.close()
    assert made != shop.account and str(before["Freight__c"]) == "9.99"


def test_a_reset_brings_a_new_organisation(api: Api) -> None:
    api.door("metadata", {"fields": {"Account": [{"name": "X__c", "type": "Text"}]}})
    api.create("Account", Name="A")
    with api.state.lock:
        api.state.clear()
        seed(api.state)
    assert api.call("GET", "limits")[0] == 401
    api.login()
    assert api.query("SELECT Id FROM Account") == []
    assert api.refusal("POST", "sobjects/Account", {"Name": "A", "X__c": "x"})[1] == "INVALID_FIELD"
