"""How Salesforce is signed in to, where its API then is (`instance_url`, of an allowed host only), what it allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from tieout.connectors.http import Reply
from tieout.connectors.oauth import Grant, Token, signed_assertion
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance, Heard, Problem
from tieout.connectors.salesforce.reasons import CONCURRENT_WAIT, fault
from tieout.connectors.session import Session
from tieout.connectors.wire import Clock, allowed_hosts, check_url, is_allowed
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, RateLimited

API_VERSION = "62.0"
DEFAULT_HOSTS = ("*.salesforce.com", "*.my.salesforce.com")
#: Salesforce does not say how long a token is good; the shortest session that an org can be set to is 15 minutes.
TOKEN_LIFETIME = 840.0
#: No limit by the minute. Of calls that take over 20 s, 5 may be under way in a developer's org and 25 in any other.
ALLOWANCE = Allowance(concurrent=5)
_USAGE = re.compile(r"(?:^|[;,]\s*)api-usage=(\d{1,9})/(\d{1,9})")
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LOGIN_HOSTS = {"login.salesforce.com", "test.salesforce.com"}


def sign_in(connection: Connection, outside: Outside) -> Session:
    """A session for the connection; no call is made yet.

    Raises:
        ConfigurationFault: the address, the way of signing in or the API version cannot be used.
    """
    host = check_url(connection.host, connection.name)
    hosts = allowed_hosts(connection, DEFAULT_HOSTS)
    url = check_url(str(connection.extra.get("token_url") or f"{host}/services/oauth2/token"), connection.name)
    http = outside.client(connection, hosts, fault)
    grant = Grant(url, _form(connection, outside.clock), lifetime=TOKEN_LIFETIME)
    tokens = outside.tokens(connection, grant, http)
    base_url = partial(instance_url, connection, hosts)
    gate = outside.gate_of(connection, ALLOWANCE)
    return Session(http, tokens, base_url, gate, partial(hear, connection, outside.clock))


def hear(connection: Connection, clock: Clock, reply: Reply) -> Heard:
    """What an answer says of the organisation's allowance of calls in 24 hours, which all integrations share."""
    usage = _USAGE.search(reply.headers.get("sforce-limit-info", ""))
    error = fault(connection, clock, reply) if reply.status in (403, 429, 503) else None
    limited = error if isinstance(error, RateLimited) else None
    which: Problem = "concurrent" if limited is not None and limited.retry_after <= CONCURRENT_WAIT else "day"
    return Heard(
        fine=limited is None and reply.status != 408 and reply.status < 500,
        problem=which if limited is not None else None,
        retry_after=limited.retry_after if limited is not None else None,
        day_left=max(int(usage[2]) - int(usage[1]), 0) if usage else None,
        day_limit=int(usage[2]) if usage else None,
    )


def data_path(connection: Connection) -> str:
    """`/services/data/vNN.0` of the version that the connection names."""
    version = str(connection.extra.get("api_version") or API_VERSION).strip().removeprefix("v")
    major, _, minor = version.partition(".")
    if not (major.isascii() and major.isdigit() and len(major) <= 3 and minor in ("", "0")):
        raise ConfigurationFault(
            f"connection {connection.name!r}: expected an api_version such as {API_VERSION}, found {version!r:.20}"
        )
    return f"/services/data/v{int(major)}.0"


def instance_url(connection: Connection, hosts: tuple[str, ...], token: Token) -> str:
    """Where the API is, as the token answer says.

    Raises:
        AuthenticationFailed: the answer names a host that is not allowed, or not https.
    """
    url = str(token.answer.get("instance_url") or connection.host)
    host = urlsplit(url).hostname or ""
    try:
        checked = check_url(url, connection.name)
    except ConfigurationFault as error:
        raise AuthenticationFailed(f"the sign-in answer's instance_url cannot be used: {error}") from error
    if not is_allowed(host, hosts):
        raise AuthenticationFailed(
            f"connection {connection.name!r}: the sign-in names the host {host[:100]}, which is not allowed;"
            " if it is yours, add it to allowed_hosts"
        )
    return checked


def _form(connection: Connection, clock: Clock) -> Callable[[], Mapping[str, str]]:
    auth = str(connection.extra.get("auth") or "client_credentials")
    if auth == "client_credentials":
        secret = {"client_id": connection.login, "client_secret": connection.password}
        return lambda: {"grant_type": "client_credentials", **secret}
    if auth not in ("jwt", "jwt_bearer"):
        raise ConfigurationFault(
            f"connection {connection.name!r}: auth must be client_credentials or jwt, found {auth[:40]!r}"
        )
    user = str(connection.extra.get("username") or "")
    if not user:
        raise ConfigurationFault(f"connection {connection.name!r}: signing in by jwt needs the user name")
    audience = str(connection.extra.get("audience") or _audience(connection.host))
    return lambda: {
        "grant_type": _JWT_GRANT,
        "assertion": signed_assertion(connection, audience, user, clock),
    }


def _audience(host: str) -> str:
    name = (urlsplit(host).hostname or "").lower()
    if name in _LOGIN_HOSTS:
        return f"https://{name}"
    if name.endswith(".salesforce.com"):
        return "https://test.salesforce.com" if ".sandbox." in name else "https://login.salesforce.com"
    return host.rstrip("/")
