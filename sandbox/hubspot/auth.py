"""The private app's token, OAuth's refresh_token grant, scopes. OAuth tokens are kept as hashes only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox.hubspot.errors import Problem, expired, missing_scopes, unauthenticated
from sandbox.hubspot.portal import Portal

PRIVATE, OAUTH = "private", "oauth"


def issue(portal: Portal, form: Mapping[str, str]) -> dict[str, Any]:
    """POST /oauth/v1/token. HubSpot's refresh tokens do not rotate. Raises Problem."""
    if form.get("grant_type") != "refresh_token":
        raise _refused("BAD_GRANT_TYPE", "unsupported_grant_type", "only the grant type refresh_token is known here")
    if form.get("client_id") != portal.setting("client_id"):
        raise _refused("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id")
    if not secrets.compare_digest(form.get("client_secret", "").encode(), portal.setting("client_secret").encode()):
        raise _refused("BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret")
    if form.get("refresh_token") != portal.setting("refresh_token"):
        raise _refused("BAD_REFRESH_TOKEN", "invalid_grant", "missing or invalid refresh token")
    value, seconds, now = secrets.token_urlsafe(32), portal.setting("token_seconds"), portal.now()
    table = portal.state.table("tokens")
    for key in [key for key, token in table.items() if token["expires"] < now - timedelta(days=1)]:
        table.delete(key)
    table.put(_hash(value), {"expires": now + timedelta(seconds=float(seconds))})
    frame = {"token_type": "bearer", "refresh_token": portal.setting("refresh_token"), "access_token": value}
    return frame | {"expires_in": int(seconds), "hub_id": portal.setting("portal_id")}


def _refused(status: str, error: str, message: str) -> Problem:
    return Problem(400, "", message, more={"status": status, "error": error, "error_description": message})


def authenticate(portal: Portal, authorization: str) -> str:
    """Which kind of app calls. Raises Problem (401)."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "bearer":
        raise unauthenticated()
    if secrets.compare_digest(value.encode(), portal.setting("private_app_token").encode()):
        return PRIVATE
    token = portal.state.table("tokens").get(_hash(value))
    if token is None:
        raise unauthenticated()
    if token["expires"] <= portal.now():
        raise expired(token["expires"], portal.now())
    return OAUTH


def allow(portal: Portal, method: str, path: str) -> None:
    """Raises Problem (403) when a scope is missing; the setting null grants all."""
    granted = portal.setting("scopes")
    needed = None if granted is None else _scope(portal, method, path)
    if needed and needed not in granted:
        raise missing_scopes(needed)


def _scope(portal: Portal, method: str, path: str) -> str | None:
    parts = path.strip("/").split("/")
    reads = method == "GET" or path.endswith(("/search", "/batch/read"))
    how = "read" if reads else "write"
    if parts[0] == "settings":
        return "multi-currency-read" if reads else "multi-currency-write"
    if parts[:1] != ["crm"] or len(parts) < 4:
        return None
    if parts[2] == "owners":
        return "crm.objects.owners.read"
    kind = portal.find_kind(parts[3])
    if kind is None or parts[2] not in ("objects", "properties"):
        return None
    name = "custom" if kind.custom else kind.name
    if name == "tickets":
        return "tickets"
    return f"crm.{'objects' if parts[2] == 'objects' else 'schemas'}.{name}.{how}"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
