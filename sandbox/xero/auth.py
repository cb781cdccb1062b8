"""Tokens, tenants, scopes. Tokens are opaque here (Xero's are JWTs) and kept only as hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.state import Record, Table
from sandbox.xero.books import Books
from sandbox.xero.errors import Problem, token_expired

_SCOPE_OF = {
    "Contacts": "accounting.contacts",
    "Invoices": "accounting.transactions",
    "CreditNotes": "accounting.transactions",
    "Payments": "accounting.transactions",
    "BankTransactions": "accounting.transactions",
    "Prepayments": "accounting.transactions",
    "Overpayments": "accounting.transactions",
    "Reports": "accounting.reports",
}
_SETTINGS_SCOPE = "accounting.settings"
_OUTSIDE_API = {"offline_access", "openid", "profile", "email"}


class TokenRefused(Exception):
    """The identity server's 400 or 401: {"error": ...}."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


def issue(books: Books, form: Mapping[str, str], authorization: str, now: datetime) -> Record:
    """POST /connect/token: client_credentials or refresh_token. Raises TokenRefused."""
    client = _client(books, form, authorization)
    granted = set(books.setting("clients")[client]["scopes"].split())
    grant = form.get("grant_type")
    if grant == "client_credentials":
        asked = set(form.get("scope", "").split()) - _OUTSIDE_API
        if not {scope for scope in asked if scope.removesuffix(".read") not in granted} <= granted:
            raise TokenRefused("invalid_scope")
        return _token(books, client, asked or granted, now)
    if grant == "refresh_token":
        return _rotate(books, client, form.get("refresh_token", ""), now)
    raise TokenRefused("unsupported_grant_type")


def consent(books: Books, client: str, now: datetime) -> Record:
    """What a person's consent gives an app: a first refresh token (the authorization code flow is not modelled)."""
    if client not in books.setting("clients"):
        raise TokenRefused("invalid_client", 401)
    scopes = set(books.setting("clients")[client]["scopes"].split())
    return _token(books, client, scopes, now) | {"refresh_token": _refresh_token(books, client, now)}


def connections(books: Books, authorization: str, now: datetime) -> list[Record]:
    """GET /connections: the tenants that the token may see."""
    _authenticate(books, authorization, now)
    tenant = books.setting("tenant_id")
    connection: Record = {"id": tenant, "authEventId": tenant, "tenantId": tenant, "tenantType": "ORGANISATION"}
    connection["tenantName"] = books.setting("organisation_name")
    stamp = "2020-01-01T00:00:00.0000000"
    return [connection | {"createdDateUtc": stamp, "updatedDateUtc": stamp}]


def authorise(books: Books, headers: Mapping[str, str], resource: str, write: bool, now: datetime) -> str:
    """The client that may make this call. Raises Problem: 401 for token and scope, 403 for the tenant."""
    token = _authenticate(books, headers.get("authorization", ""), now)
    if headers.get("xero-tenant-id", "").lower() != books.setting("tenant_id"):
        raise Problem(403, "Forbidden", "AuthenticationUnsuccessful")
    scope = _SCOPE_OF.get(resource, _SETTINGS_SCOPE)
    if scope not in token["scopes"] and (write or f"{scope}.read" not in token["scopes"]):
        challenge = {"WWW-Authenticate": 'insufficient_scope="insufficient_scope"'}
        raise Problem(401, "Unauthorized", "AuthorizationUnsuccessful", challenge)
    client: str = token["client"]
    return client


def _authenticate(books: Books, authorization: str, now: datetime) -> Record:
    kind, _, value = authorization.partition(" ")
    token = _tokens(books).get(_hash(value)) if kind.lower() == "bearer" else None
    if token is None:
        raise Problem(401, "Unauthorized", "AuthenticationUnsuccessful")
    if token["expires"] <= now:
        raise token_expired(token["expires"])
    return token


def _client(books: Books, form: Mapping[str, str], authorization: str) -> str:
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization.lower().startswith("basic "):
        try:
            client, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise TokenRefused("invalid_client", 401) from error
    known = books.setting("clients").get(client)
    if known is None or not secrets.compare_digest(str(known["secret"]).encode(), secret.encode()):
        raise TokenRefused("invalid_client", 401)
    return client


def _token(books: Books, client: str, scopes: set[str], now: datetime) -> Record:
    value = secrets.token_urlsafe(32)
    seconds = books.setting("token_seconds")
    expires = now + timedelta(seconds=float(seconds))
    tokens = _tokens(books)
    for key in [key for key, token in tokens.items() if token["expires"] < now - timedelta(days=1)]:
        tokens.delete(key)
    tokens.put(_hash(value), {"client": client, "scopes": sorted(scopes), "expires": expires})
    return {
        "access_token": value,
        "expires_in": int(seconds),
        "token_type": "Bearer",
        "scope": " ".join(sorted(scopes)),
    }


def _refresh_token(books: Books, client: str, now: datetime) -> str:
    value = secrets.token_urlsafe(32)
    books.state.table("refresh_tokens").put(_hash(value), {"client": client, "used": None, "made": now})
    return value


def _rotate(books: Books, client: str, value: str, now: datetime) -> Record:
    """A new pair; the old refresh token works once more within the grace period, for an answer that was lost."""
    table = books.state.table("refresh_tokens")
    old = table.get(_hash(value))
    grace = timedelta(seconds=float(books.setting("refresh_grace_seconds")))
    if old is None or old["client"] != client or (old["used"] is not None and old["used"] + grace < now):
        raise TokenRefused("invalid_grant")
    table.put(_hash(value), old | {"used": old["used"] or now})
    scopes = set(books.setting("clients")[client]["scopes"].split())
    return _token(books, client, scopes, now) | {"refresh_token": _refresh_token(books, client, now)}


def _tokens(books: Books) -> Table:
    return books.state.table("tokens")


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def error_body(error: TokenRefused) -> dict[str, Any]:
    return {"error": error.error}
