"""Tokens by OAuth 2.0: client credentials, JWT bearer (RFC 7523) and refresh tokens that rotate, kept until shortly
before they expire.

Which grant and which URL a vendor wants is said by its session. Tokens go into no log, repr or message.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tieout.connectors.http import Call, HttpClient, NotSent, Reply, Unanswered, http_fault
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, Retriable, TieoutError, VendorFault

_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----)(.+)(-----END [A-Z ]+-----)", re.DOTALL)
RENEW_BEFORE = 60.0  # seconds before the end at which a token is no longer used
ASSERTION_LIFETIME = 180  # seconds; Salesforce takes no assertion that is good for longer


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `expires_at` is on the clock's monotonic time; `answer` is the rest of the token answer."""

    value: str = field(repr=False)
    expires_at: float
    answer: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """How a vendor gives tokens.

    Attributes:
        url: the token endpoint.
        form: makes the form's fields anew for each request (an assertion is good for minutes).
        basic: client id and secret go into an Authorization header instead of the form.
        lifetime: seconds, where the answer has no `expires_in`.
        rotates_from: the first refresh token, where each answer may bring the next one: `form` is not asked then.
    """

    url: str
    form: Callable[[], Mapping[str, str]] = field(repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    lifetime: float = 1800.0
    rotates_from: str | None = field(default=None, repr=False)


class GrantRefused(AuthenticationFailed):
    """What the token was asked with is not good (any more): `invalid_grant`."""


class RefreshShelf(Protocol):
    """Where the refresh token of one connection is kept while it rotates. One writer at a time, in all processes."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Nobody else uses or keeps this connection's refresh token inside. Raises Retriable."""
        ...

    def current(self, first: str) -> Sequence[str]:
        """The tokens worth trying, the newest first; inside `exclusive` only.

        Args:
            first: what the connection itself holds. Where it is another one than the chain began with, somebody has
                signed in anew, and it comes first.

        Raises:
            Retriable: the place where they are kept is gone.
            ConfigurationFault: what is kept cannot be read.
        """
        ...

    def keep(self, token: str) -> None:
        """This one from now on, for good when it returns; inside `exclusive` only. Raises Retriable."""
        ...


class MemoryRefresh:
    """A RefreshShelf of one process, which forgets: for tests and tools against systems that can be set back."""

    def __init__(self) -> None:
        self.kept: list[str] = []  # the newest first
        self._lock = threading.RLock()

    def exclusive(self) -> AbstractContextManager[Any]:
        """See RefreshShelf."""
        return self._lock

    def current(self, first: str) -> Sequence[str]:
        """See RefreshShelf."""
        return self.kept or [first]

    def keep(self, token: str) -> None:
        """See RefreshShelf."""
        self.kept = [token, *self.kept][:2]


@dataclass(slots=True)
class TokenShelf:
    """Where the connectors of one connection in one process keep their token: fetched once for all of them.

    `refresh` outlives the process: there the refresh token is, where the vendor rotates it.
    """

    token: Token | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    refresh: RefreshShelf = field(default_factory=MemoryRefresh, repr=False)


class Tokens(Protocol):
    """Where a session takes its token from."""

    @property
    def connection(self) -> Connection:
        """Whose token it is."""
        ...

    def current(self) -> Token:
        """A token that can be used now. Raises AuthenticationFailed, Retriable."""
        ...

    def replace(self, refused: Token) -> Token:
        """Another token in place of one that the vendor refused. Raises as `current`."""
        ...


class FixedToken:
    """A token that a person made at the vendor and put into the connection: it does not end, and cannot be renewed."""

    def __init__(self, connection: Connection, value: str, remedy: str) -> None:
        self.connection = connection
        self._token = Token(value, float("inf"), {})
        self._remedy = remedy

    def current(self) -> Token:
        """See Tokens. Raises AuthenticationFailed when there is none."""
        if not self._token.value:
            raise AuthenticationFailed(f"connection {self.connection.name!r}: the token is empty; {self._remedy}")
        return self._token

    def replace(self, refused: Token) -> Token:
        """There is no other. Raises AuthenticationFailed."""
        raise AuthenticationFailed(
            f"connection {self.connection.name!r}: {self.connection.system} refuses the credentials; {self._remedy}"
        )


class TokenSource:
    """The current token of one connection; fetched when needed, renewed before its end or when it is refused.

    Safe for threads that share a shelf, each with an HttpClient of its own.
    """

    def __init__(
        self,
        connection: Connection,
        grant: Grant,
        http: HttpClient,
        on_secret: Callable[[str], None] | None,
        shelf: TokenShelf | None = None,
    ) -> None:
        self.connection = connection
        self.grant = grant
        self._http = http
        self._on_secret = on_secret
        self._shelf = shelf or TokenShelf()

    def current(self) -> Token:
        """A token that is good for another minute at least.

        Raises:
            AuthenticationFailed: the credentials are refused.
            Retriable: the token endpoint cannot be reached.
        """
        with self._shelf.lock:
            return self._good()

    def replace(self, refused: Token) -> Token:
        """Another token in place of one that the vendor refused. Raises as `current`."""
        with self._shelf.lock:
            if self._shelf.token is refused:
                self._shelf.token = None
            return self._good()

    def _good(self) -> Token:
        token = self._shelf.token
        if token is None or self._http.clock.monotonic() >= token.expires_at - RENEW_BEFORE:
            token = self._shelf.token = self._fetch()
        return token

    def _fetch(self) -> Token:
        first = self.grant.rotates_from
        if first is None:
            return self._token(*self._asked(self.grant.form))
        with self._shelf.refresh.exclusive():
            return self._rotated(first, self._shelf.refresh)

    def _rotated(self, first: str, shelf: RefreshShelf) -> Token:
        """A token by the newest refresh token that is taken; the next one is kept before this one is used."""
        known = shelf.current(first)
        for refresh in known:
            form = {"grant_type": "refresh_token", "refresh_token": refresh}
            try:
                reply, answer = self._asked(lambda form=form: form)  # type: ignore[misc]  # bound at once
            except GrantRefused:
                continue
            following = answer.get("refresh_token") if isinstance(answer, dict) else None
            if isinstance(following, str) and following:
                if self._on_secret is not None:
                    self._on_secret(following)
                shelf.keep(following)
            return self._token(reply, answer)
        raise AuthenticationFailed(
            f"connection {self.connection.name!r}: {self.connection.system} takes none of the {len(known)} refresh "
            "tokens that are known (an answer with a newer one was lost, or the app was disconnected); an "
            f"administrator of the company has to join the app again and enter the new refresh token in the connection "
            f"{self.connection.name!r}: see 'Joining the app again' in the connector's README"
        )

    def _asked(self, form: Callable[[], Mapping[str, str]]) -> tuple[Reply, Any]:
        try:
            return self._http.read(lambda: self._ask(form()))
        except (NotSent, Unanswered) as error:
            # Tried as often as a read is: under its own type, the read that needs the token would try all that again.
            raise Retriable(f"{error}; check the network and that {self.connection.host} answers") from error

    def _token(self, reply: Reply, answer: Any) -> Token:
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise VendorFault(f"{self.connection.name}: HTTP {reply.status} from the token endpoint without a token")
        value = answer["access_token"]
        if self._on_secret is not None:
            self._on_secret(value)
        try:
            lifetime = float(answer.get("expires_in") or self.grant.lifetime)
        except (TypeError, ValueError):
            lifetime = self.grant.lifetime
        rest = {key: item for key, item in answer.items() if key not in ("access_token", "refresh_token")}
        # A lifetime under the margin would mean a new token for each call.
        return Token(value, self._http.clock.monotonic() + max(lifetime, 2 * RENEW_BEFORE), rest)

    def _ask(self, form: Mapping[str, str]) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        authorization = None
        if self.grant.basic is not None:
            pair = ":".join(quote(part, safe="") for part in self.grant.basic)
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        body = urlencode(form).encode()
        reply = self._http.once(Call("POST", self.grant.url, headers=headers, body=body), authorization)
        if reply.status in (400, 401, 403):
            raise refusal(self.connection, reply)
        return reply


def refusal(connection: Connection, reply: Reply) -> TieoutError:
    """What a token endpoint's 400, 401 or 403 means."""
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    error = str(answer.get("error", "")) if isinstance(answer, dict) else ""
    if error == "temporarily_unavailable":
        return Retriable(f"{connection.name}: the token endpoint is not available for now")
    remedy = {
        "invalid_client": "check client id and client secret",
        "invalid_client_id": "check the client id",
        "invalid_grant": "check the user, the certificate and the app's policies (and this machine's clock)",
        "unauthorized_client": "allow the app this way of signing in",
        "unsupported_grant_type": "allow the app this way of signing in",
        "invalid_scope": "give the app the scopes that the connector's README names",
    }.get(error, "check client id, client secret and the URL")
    kind = GrantRefused if error == "invalid_grant" else AuthenticationFailed
    return kind(
        f"connection {connection.name!r}: {connection.system} refuses the credentials"
        f" (HTTP {reply.status}{', ' + error[:60] if error else ''}); {remedy} in the connection {connection.name!r}"
    )


def signed_assertion(connection: Connection, audience: str, subject: str, clock: Clock) -> str:
    """A JWT for the JWT bearer grant: issuer is the client id, signed by the private key in `password` (RS256).

    Raises:
        ConfigurationFault: the key cannot be read.
    """
    issued = int(clock.now().timestamp())
    claims = {
        "iss": connection.login,
        "aud": audience,
        "sub": subject,
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME,
        "jti": secrets.token_urlsafe(24),
    }
    try:
        return jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(_pem(connection.password)))
    except (ValueError, TypeError, JoseError) as error:
        raise ConfigurationFault(
            f"connection {connection.name!r}: the password is not a private RSA key in PEM form"
            f" ({type(error).__name__})"
        ) from None


def _pem(text: str) -> str:
    """The key with its line ends: Airflow's form has one line for a password, where they become blanks or \\n."""
    text = text.replace("\\n", "\n").strip()
    parts = _PEM.fullmatch(text)
    if parts is None or "\n" in text:
        return text
    return "\n".join([parts[1], *parts[2].split(), parts[3]])


def token_fault(connection: Connection, reply: Reply, clock: Clock) -> TieoutError:
    """The errors of a token endpoint, where its client has no vendor session."""
    if reply.status in (400, 401, 403):
        return refusal(connection, reply)
    return http_fault(connection.system, reply, clock)
