"""Intuit's OAuth 2.0: access tokens of an hour and a refresh token that rotates. Kept only as hashes.

Answers come with a new refresh token when the newest is older than `rotate_every_seconds`; the one before is refused
`old_token_grace_seconds` later. There is one line of refresh tokens for each consent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from sandbox.quickbooks.errors import unauthenticated
from sandbox.quickbooks.settings import setting
from sandbox.state import Record, State, Table


class TokenRefused(Exception):
    """The token endpoint's 400 or 401: {"error", "error_description"}."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.body = {"error": error, "error_description": description}
        self.status = status


def issue(state: State, form: Mapping[str, str], authorization: str, now: datetime) -> Record:
    """POST /oauth2/v1/tokens/bearer. Raises TokenRefused."""
    client = _client(state, authorization)
    if form.get("grant_type") != "refresh_token":
        raise TokenRefused("unsupported_grant_type", "grant_type must be refresh_token in this sandbox")
    value = form.get("refresh_token", "")
    table = _refresh_tokens(state)
    old = table.get(_hash(value))
    if old is None or old["client"] != client or old["expires"] <= now or _over(state, old, now):
        raise TokenRefused("invalid_grant", "Incorrect or invalid refresh token")
    rotate_after = timedelta(seconds=float(setting(state, "rotate_every_seconds")))
    if old["replaced"] is None and now - old["made"] < rotate_after:
        return _answer(state, client, value, old, now)
    if old["replaced"] is None:
        table.put(_hash(value), old | {"replaced": now})
    fresh, kept = new_refresh_token(state, client, now)
    return _answer(state, client, fresh, kept, now)


def new_refresh_token(state: State, client: str, now: datetime, value: str | None = None) -> tuple[str, Record]:
    """A refresh token, as after a person's consent: (the token, what is kept of it)."""
    value = value or "AB1" + secrets.token_urlsafe(32)
    lives = timedelta(seconds=float(setting(state, "refresh_token_seconds")))
    kept: Record = {"client": client, "made": now, "expires": now + lives, "replaced": None}
    _refresh_tokens(state).put(_hash(value), kept)
    return value, kept


def revoke(state: State, token: str, authorization: str) -> None:
    """Either token; nothing happens when it is not known. Raises TokenRefused."""
    _client(state, authorization)
    _refresh_tokens(state).delete(_hash(token))
    _tokens(state).delete(_hash(token))


def authorise(state: State, authorization: str, now: datetime) -> str:
    """The client of the token. Raises Refused (401)."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "bearer" or not value:
        raise unauthenticated("Malformed bearer token: too short or too long")
    token = _tokens(state).get(_hash(value))
    if token is None:
        raise unauthenticated("Invalid token")
    if token["expires"] <= now:
        raise unauthenticated("Token expired")
    client: str = token["client"]
    return client


def _over(state: State, old: Record, now: datetime) -> bool:
    grace = timedelta(seconds=float(setting(state, "old_token_grace_seconds")))
    return old["replaced"] is not None and bool(old["replaced"] + grace <= now)


def _answer(state: State, client: str, refresh_token: str, kept: Record, now: datetime) -> Record:
    value = secrets.token_urlsafe(48)
    seconds = setting(state, "token_seconds")
    tokens = _tokens(state)
    for key in [key for key, token in tokens.items() if token["expires"] < now - timedelta(days=1)]:
        tokens.delete(key)
    tokens.put(_hash(value), {"client": client, "expires": now + timedelta(seconds=float(seconds))})
    return {
        "token_type": "bearer",
        "access_token": value,
        "expires_in": int(seconds),
        "refresh_token": refresh_token,
        "x_refresh_token_expires_in": int((kept["expires"] - now).total_seconds()),
    }


def _client(state: State, authorization: str) -> str:
    refused = TokenRefused("invalid_client", "The client id or the client secret is wrong", 401)
    if not authorization.lower().startswith("basic "):
        raise refused
    try:
        client, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise refused from error
    known = setting(state, "clients").get(client)
    if known is None or not secrets.compare_digest(str(known["secret"]).encode(), secret.encode()):
        raise refused
    return client


def _tokens(state: State) -> Table:
    return state.table("tokens")


def _refresh_tokens(state: State) -> Table:
    return state.table("refresh_tokens")


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
