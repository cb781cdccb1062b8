"""`/services/oauth2`: tokens for registered clients, by client credentials or by a signed assertion (JWT bearer)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from sandbox.salesforce.access import Access, of_client
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.org import ORG_ID, USER_ID, Org
from sandbox.salesforce.values import parse_instant, stamp
from sandbox.salesforce.wire import Reply

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = re.compile(r"https://[\w.-]+\.salesforce\.com(/.*)?")
MAX_ASSERTION_AGE = timedelta(minutes=5)  # how far `exp` may lie ahead


class _No(Exception):
    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.reply = Reply(400, {"error": error, "error_description": description})


def token(org: Org, form: Mapping[str, str], authorization: str, base: str) -> Reply:
    """POST /services/oauth2/token; `base` is the URL that the caller reached this organisation by."""
    try:
        grant = form.get("grant_type")
        if grant == "client_credentials":
            key = _by_secret(org, form, authorization)
        elif grant == JWT_BEARER:
            key = _by_assertion(org, form.get("assertion", ""), base)
        else:
            raise _No("unsupported_grant_type", "grant type not supported")
    except _No as no:
        return no.reply
    return Reply(value=_issue(org, key, base))


def revoke(org: Org, form: Mapping[str, str]) -> Reply:
    """POST /services/oauth2/revoke"""
    given = form.get("token", "")
    if given not in org.table("_token"):
        return Reply(400, {"error": "unsupported_token_type", "error_description": "this token type is not supported"})
    org.table("_token").delete(given)
    return Reply()


def authenticate(org: Org, authorization: str) -> Access:
    """Who is calling. Raises ApiError 401."""
    kind, _, given = authorization.partition(" ")
    if not authorization or kind.lower() not in ("bearer", "oauth"):
        raise ApiError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
    known: dict[str, tuple[str, Access]] = org.memory.setdefault("tokens", {})
    found = known.get(given)
    if found is None:
        record = org.table("_token").get(given)
        client = org.table("_client").get(record["client"]) if record else None
        if record is None or client is None:
            raise expired()
        found = known[given] = (record["expires"], of_client(record["client"], client))
    if found[0] <= stamp(org.now()) or given not in org.table("_token"):
        raise expired()
    return found[1]


def expired() -> ApiError:
    """The error for a token that is unknown or too old."""
    return ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def expire_all(org: Org) -> int:
    """Ends every token; returns how many there were."""
    table = org.table("_token")
    with org.state.transaction():
        tokens = list(table.keys())
        for one in tokens:
            table.delete(one)
    return len(tokens)


def register(org: Org, given: Mapping[str, Any]) -> None:
    """Registers a client, or changes it. Raises ValueError."""
    unknown = set(given) - {"consumer_key", "consumer_secret", "username", "public_key", "objects", "hidden_fields"}
    if unknown or not given.get("consumer_key"):
        raise ValueError(f"consumer_key is needed; unknown keys: {sorted(unknown)}")
    if given.get("public_key"):
        _public_key(given["public_key"])
    for name in given.get("objects", {}):
        if name not in org.schema.objects:
            raise ValueError(f"objects: there is no {name}")
    kept = {key: value for key, value in given.items() if key != "consumer_key"}
    org.table("_client").put(str(given["consumer_key"]), kept)
    org.memory.pop("tokens", None)


def _by_secret(org: Org, form: Mapping[str, str], authorization: str) -> str:
    key, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization.lower().startswith("basic "):
        try:
            key, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise _No("invalid_client", "invalid client credentials") from None
    client = org.table("_client").get(key)
    if client is None:
        raise _No("invalid_client_id", "client identifier invalid")
    wanted = client.get("consumer_secret") or ""
    if not wanted or not hmac.compare_digest(wanted.encode(), secret.encode()):
        raise _No("invalid_client", "invalid client credentials")
    return key


def _by_assertion(org: Org, assertion: str, base: str) -> str:
    parts = assertion.split(".")
    if len(parts) != 3:
        raise _No("invalid_grant", "invalid assertion")
    header, claims = _decoded(parts[0]), _decoded(parts[1])
    key = str(claims.get("iss", ""))
    client = org.table("_client").get(key)
    if client is None:
        raise _No("invalid_client_id", "client identifier invalid")
    if header.get("alg") != "RS256" or not client.get("public_key"):
        raise _No("invalid_grant", "invalid assertion")
    try:
        signed = f"{parts[0]}.{parts[1]}".encode()
        _public_key(client["public_key"]).verify(_bytes(parts[2]), signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise _No("invalid_grant", "invalid assertion") from None
    _check_claims(org, claims, client, base)
    return key


def _check_claims(org: Org, claims: Mapping[str, Any], client: Mapping[str, Any], base: str) -> None:
    audience = str(claims.get("aud", ""))
    if audience.rstrip("/") != base and not _AUDIENCE.fullmatch(audience):
        raise _No("invalid_grant", "audience is invalid")
    now = org.now()
    try:
        left = int(claims.get("exp", 0)) - now.timestamp()
    except (TypeError, ValueError):
        raise _No("invalid_grant", "invalid assertion") from None
    if not 0 < left <= MAX_ASSERTION_AGE.total_seconds():
        raise _No("invalid_grant", "expired authorization code")
    if claims.get("sub") != client.get("username"):
        raise _No("invalid_grant", "user hasn't approved this consumer")


def _issue(org: Org, key: str, base: str) -> dict[str, Any]:
    now = org.now()
    value = f"{ORG_ID[:15]}!{secrets.token_urlsafe(48)}"
    expires = stamp(now + timedelta(seconds=float(org.setting("token_seconds"))))
    with org.state.transaction():
        table = org.table("_token")
        for old in [one for one, record in table.items() if record["expires"] <= stamp(now)]:
            table.delete(old)
        table.put(value, {"client": key, "expires": expires})
    return {
        "access_token": value,
        "scope": "api",
        "instance_url": base,
        "id": f"{base}/id/{ORG_ID}/{USER_ID}",
        "token_type": "Bearer",
        "issued_at": str(int(now.timestamp() * 1000)),
    }


def introspect(org: Org, given: str) -> dict[str, Any]:
    """What is known of a token: for `/services/oauth2/userinfo`."""
    record = org.table("_token").get(given)
    expires = parse_instant(record["expires"]) if record else None
    return {"user_id": USER_ID, "organization_id": ORG_ID, "expires": stamp(expires) if expires else None}


def _public_key(pem: str) -> rsa.RSAPublicKey:
    text = pem.encode()
    key = load_pem_x509_certificate(text).public_key() if b"CERTIFICATE" in text else load_pem_public_key(text)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("public_key: an RSA key or certificate in PEM is expected")
    return key


def _decoded(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except (ValueError, UnicodeDecodeError):
        raise _No("invalid_grant", "invalid assertion") from None
    if not isinstance(value, dict):
        raise _No("invalid_grant", "invalid assertion")
    return value


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise _No("invalid_grant", "invalid assertion") from None
