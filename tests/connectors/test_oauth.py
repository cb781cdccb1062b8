"""Signing in: both grants, renewal in mid-run, refusals that say what to do, no secret anywhere."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.connectors.wires import NOW, Time, Wire, answer, connection, entity
from tieout.connectors.outside import Outside
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.xero.connector import XeroConnector
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, Retriable

SF = "https://acme.my.salesforce.com"
TOKEN = "/services/oauth2/token"
QUERY = "/services/data/v62.0/query"


def token(value: str, instance: str = SF, **more: Any) -> httpx.Response:
    return answer({"access_token": value, "instance_url": instance, "token_type": "Bearer", **more})


def rows() -> httpx.Response:
    return answer({"totalSize": 0, "done": True, "records": []})


def salesforce(wire: Wire, time: Time, secrets: list[str] | None = None, **extra: Any) -> SalesforceConnector:
    told = [] if secrets is None else secrets
    return SalesforceConnector(connection("salesforce", SF, **extra), Outside(wire.transport, time.clock, told.append))


def ask(crm: SalesforceConnector) -> None:
    list(crm.query("SELECT Id FROM Account"))


def test_client_credentials_once_for_many_calls() -> None:
    wire = Wire(("POST", TOKEN, token("tok-1")), ("GET", QUERY, rows()))
    secrets: list[str] = []
    crm = salesforce(wire, Time(), secrets)
    ask(crm)
    ask(crm)
    (asked,) = wire.calls("POST", TOKEN)
    form = parse_qs(asked.content.decode())
    assert form == {
        "grant_type": ["client_credentials"],
        "client_id": ["client"],
        "client_secret": ["s3cret-word"],
    }
    assert {r.headers["authorization"] for r in wire.calls("GET", QUERY)} == {"Bearer tok-1"}
    assert secrets == ["tok-1"]


def test_a_token_is_renewed_before_it_ends() -> None:
    wire = Wire(("POST", TOKEN, [token("tok-1", expires_in=600), token("tok-2")]), ("GET", QUERY, rows()))
    time = Time()
    crm = salesforce(wire, time)
    ask(crm)
    time.seconds += 541
    ask(crm)
    assert [r.headers["authorization"] for r in wire.calls("GET", QUERY)] == ["Bearer tok-1", "Bearer tok-2"]


def test_a_token_that_ends_in_mid_run_is_replaced_once() -> None:
    expired = answer([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}], 401)
    wire = Wire(("POST", TOKEN, [token("tok-1"), token("tok-2")]), ("GET", QUERY, [expired, rows()]))
    ask(salesforce(wire, Time()))
    assert [r.headers["authorization"] for r in wire.calls("GET", QUERY)] == ["Bearer tok-1", "Bearer tok-2"]


def test_a_fresh_token_that_is_refused_ends_it() -> None:
    expired = answer([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}], 401)
    wire = Wire(("POST", TOKEN, [token("tok-1"), token("tok-2")]), ("GET", QUERY, expired))
    with pytest.raises(AuthenticationFailed, match="salesforce_test"):
        ask(salesforce(wire, Time()))
    assert len(wire.calls("GET", QUERY)) == 2


def test_jwt_bearer_is_signed_for_the_login_host() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    wire = Wire(("POST", TOKEN, token("tok-1")), ("GET", QUERY, rows()))
    time = Time()
    extra = {"auth": "jwt", "username": "sync@acme.example"}
    for password in (pem, pem.replace("\n", " "), pem.replace("\n", "\\n")):
        conn = Connection("sf", "salesforce", SF, "client", password, extra)
        ask(SalesforceConnector(conn, Outside(wire.transport, time.clock)))
    for asked in wire.calls("POST", TOKEN):
        form = parse_qs(asked.content.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        claims = jwt.decode(form["assertion"][0], RSAKey.import_key(key.public_key()), algorithms=["RS256"]).claims
        assert claims["iss"] == "client" and claims["sub"] == "sync@acme.example"
        assert claims["aud"] == "https://login.salesforce.com"
        assert claims["exp"] - int(time.now().timestamp()) == 180


def test_a_key_that_is_none_is_a_configuration_fault_without_the_key() -> None:
    crm = salesforce(Wire(), Time(), auth="jwt", username="u")
    with pytest.raises(ConfigurationFault, match="private RSA key") as caught:
        ask(crm)
    assert "s3cret-word" not in str(caught.value)


@pytest.mark.parametrize("error", ["invalid_client", "invalid_grant", "something_new"])
def test_refused_credentials_name_the_connection_and_no_secret(error: str) -> None:
    wire = Wire(("POST", TOKEN, answer({"error": error, "error_description": "s3cret-word is wrong"}, 400)))
    with pytest.raises(AuthenticationFailed, match=r"salesforce_test.*check") as caught:
        ask(salesforce(wire, Time()))
    assert "s3cret-word" not in str(caught.value)
    assert len(wire.asked) == 1


def test_a_token_endpoint_that_is_down_is_tried_again() -> None:
    wire = Wire(("POST", TOKEN, [answer({}, 503), httpx.ConnectError("no"), token("t")]), ("GET", QUERY, rows()))
    ask(salesforce(wire, Time()))
    wire = Wire(("POST", TOKEN, answer({}, 503)))
    with pytest.raises(Retriable):
        ask(salesforce(wire, Time()))


@pytest.mark.parametrize("instance", ["https://evil.example.org", "http://acme.my.salesforce.com", "https://a:b@x.y"])
def test_an_instance_url_of_another_host_gets_no_token(instance: str) -> None:
    wire = Wire(("POST", TOKEN, token("tok-1", instance)))
    with pytest.raises(AuthenticationFailed, match=r"instance_url|allowed_hosts"):
        ask(salesforce(wire, Time()))
    assert len(wire.asked) == 1


def test_an_instance_url_of_an_allowed_host_is_used() -> None:
    wire = Wire(("POST", TOKEN, token("t", "https://eu1.my.salesforce.com")), ("GET", QUERY, rows()))
    ask(salesforce(wire, Time()))
    assert wire.asked[-1].url.host == "eu1.my.salesforce.com"


def test_xero_takes_the_secret_as_basic_and_names_its_organisation() -> None:
    wire = Wire(
        ("POST", "/connect/token", answer({"access_token": "x-1", "expires_in": 1800, "token_type": "Bearer"})),
        ("GET", "/connections", answer([{"tenantId": "t-1", "tenantType": "ORGANISATION"}])),
        ("GET", "/api.xro/2.0/Organisation", answer({"Organisations": []})),
    )
    ledger = XeroConnector(connection("xero", "https://api.xero.com"), Outside(wire.transport, Time().clock))
    list(ledger.changed(entity("xero", "Organisation", "OrganisationID", None), None, NOW))
    first = wire.asked[0]
    assert str(first.url) == "https://identity.xero.com/connect/token"
    assert first.headers["authorization"] == "Basic " + base64.b64encode(b"client:s3cret-word").decode()
    assert "client_secret" not in first.content.decode()
    (org,) = wire.calls("GET", "/api.xro/2.0/Organisation")
    assert org.headers["xero-tenant-id"] == "t-1"


def test_several_organisations_need_a_tenant_id() -> None:
    wire = Wire(
        ("POST", "/connect/token", answer({"access_token": "x-1"})),
        ("GET", "/connections", answer([{"tenantId": "a"}, {"tenantId": "b"}])),
    )
    ledger = XeroConnector(connection("xero", "https://api.xero.com"), Outside(wire.transport, Time().clock))
    told = [finding.what for finding in ledger.findings() if not finding.ok]
    assert any("2 organisations" in what for what in told)
