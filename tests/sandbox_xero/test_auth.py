"""Tokens, tenants and scopes, and the shapes of their refusals."""

from __future__ import annotations

import httpx

from tests.sandbox_xero.conftest import TENANT, Xero
from tests.support.sandbox import SandboxProcess


def test_a_token_is_given_for_credentials_in_header_or_body(sandbox: SandboxProcess) -> None:
    url = f"{sandbox.url}/xero/connect/token"
    form = {"grant_type": "client_credentials"}
    assert httpx.post(url, data=form, auth=("sandbox-client", "sandbox-secret")).json()["expires_in"] == 1800
    body = form | {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "scope": "accounting.contacts"}
    assert httpx.post(url, data=body).json()["scope"] == "accounting.contacts"
    assert httpx.post(url, data=form, auth=("sandbox-client", "wrong")).json() == {"error": "invalid_client"}
    assert httpx.post(url, data=body | {"scope": "accounting.journals.read"}).json() == {"error": "invalid_scope"}
    assert httpx.post(url, data=body | {"grant_type": "password"}).json() == {"error": "unsupported_grant_type"}


def test_connections_name_the_tenant(xero: Xero) -> None:
    answer = httpx.get(f"{xero.root}/connections", headers={"Authorization": f"Bearer {xero.token}"})
    assert [entry["tenantId"] for entry in answer.json()] == [TENANT]
    assert httpx.get(f"{xero.root}/connections").status_code == 401


def test_without_a_valid_token_every_call_is_refused(xero: Xero) -> None:
    xero.http.headers["Authorization"] = "Bearer nonsense"
    status, answer = xero.call("GET", "Contacts")
    assert status == 401
    assert set(answer) == {"Type", "Title", "Status", "Detail", "Instance", "Extensions"}
    assert (answer["Title"], answer["Detail"]) == ("Unauthorized", "AuthenticationUnsuccessful")


def test_a_token_expires_after_half_an_hour(xero: Xero) -> None:
    xero.settings(clock_offset_seconds=1790)
    assert xero.call("GET", "Contacts")[0] == 200
    xero.settings(clock_offset_seconds=1810)
    status, answer = xero.call("GET", "Contacts")
    assert status == 401 and answer["Detail"].startswith("TokenExpired: token expired at ")


def test_another_tenant_is_forbidden(xero: Xero) -> None:
    xero.http.headers["xero-tenant-id"] = "00000000-0000-0000-0000-000000000000"
    status, answer = xero.call("GET", "Contacts")
    assert (status, answer["Title"], answer["Detail"]) == (403, "Forbidden", "AuthenticationUnsuccessful")
    del xero.http.headers["xero-tenant-id"]
    assert xero.call("GET", "Contacts")[0] == 403


def test_scopes_divide_reading_from_writing_and_one_resource_from_another(xero: Xero) -> None:
    reader = Xero(xero.sandbox, "sandbox-reader")
    assert reader.call("GET", "Invoices")[0] == 200
    status, answer = reader.call("PUT", "Contacts", {"Contacts": [{"Name": "X"}]})
    assert (status, answer["Detail"]) == (401, "AuthorizationUnsuccessful")
    narrow = xero.issue("sandbox-client", scope="accounting.contacts")["access_token"]
    xero.http.headers["Authorization"] = f"Bearer {narrow}"
    assert xero.call("GET", "Contacts")[0] == 200
    assert xero.call("GET", "Invoices")[0] == 401
    assert xero.call("GET", "Organisation")[0] == 401


def test_refresh_tokens_rotate_and_the_old_one_works_for_a_while(xero: Xero) -> None:
    first = httpx.post(f"{xero.root}/_sandbox/consent", json={"client_id": "sandbox-client"}).json()["refresh_token"]
    second = xero.issue("sandbox-client", grant_type="refresh_token", refresh_token=first)
    assert second["refresh_token"] != first
    assert xero.issue("sandbox-client", grant_type="refresh_token", refresh_token=first)["access_token"]
    xero.settings(clock_offset_seconds=1900)
    form = {"grant_type": "refresh_token", "refresh_token": first}
    answer = httpx.post(f"{xero.root}/connect/token", data=form, auth=("sandbox-client", "sandbox-secret"))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})
    assert xero.issue("sandbox-client", grant_type="refresh_token", refresh_token=second["refresh_token"])


def test_json_must_be_asked_for(xero: Xero) -> None:
    xero.http.headers["Accept"] = "*/*"
    answer = xero.http.get("Contacts")
    assert answer.status_code == 406 and "XML" in answer.text


def test_unknown_endpoints_and_methods(xero: Xero) -> None:
    assert xero.http.get("Nothing").status_code == 404
    assert xero.http.delete("Invoices").status_code == 405
    assert xero.http.get("Invoices/00000000-0000-0000-0000-000000000000").status_code == 404
