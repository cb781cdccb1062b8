"""OAuth 2.0 by client credentials: a bearer token that ends. Tokens are kept as they are: this is a sandbox."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, unquote

from sandbox.state import Record, State


def issue(state: State, form: str, authorization: str) -> tuple[int, Record]:
    """(status, answer) of POST /oauth/token."""
    if parse_qs(form).get("grant_type") != ["client_credentials"]:
        return 400, {"error": "unsupported_grant_type"}
    client, secret = _credentials(authorization)
    known = state.settings["clients"].get(client)
    if known is None or not secrets.compare_digest(str(known).encode(), secret.encode()):
        return 401, {"error": "invalid_client"}
    value, seconds = secrets.token_urlsafe(32), state.settings["token_seconds"]
    state.table("tokens").put(value, {"expires": state.clock() + timedelta(seconds=float(seconds))})
    return 200, {"token_type": "bearer", "access_token": value, "expires_in": int(seconds)}


def is_signed_in(state: State, authorization: str) -> bool:
    """Whether the header has a token that is good now."""
    kind, _, value = authorization.partition(" ")
    token = state.table("tokens").get(value)
    return kind.lower() == "bearer" and token is not None and bool(token["expires"] > state.clock())


def _credentials(authorization: str) -> tuple[str, str]:
    kind, _, value = authorization.partition(" ")
    try:
        client, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (unquote(client), unquote(secret)) if kind.lower() == "basic" else ("", "")
