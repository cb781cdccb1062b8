"""The refresh token of a connection whose vendor rotates it: a row of `tieout.refresh_token`, one writer at a time.

The vendor's answer with the next token is kept, committed and on disk, before the access token that came with it is
used. A writer that is killed between the answer and that commit leaves the token before: it is tried again, for as long
as the vendor takes it. Tokens are sealed (Fernet: AES-128 and HMAC) by a key that is not in the database.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.engine import Engine

from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, Retriable

log = structlog.get_logger(__name__)

#: How often, and how many seconds apart, keeping is tried while the store is away: the token must not be lost.
KEEP_TRIES, KEEP_PAUSE = 20, 0.5
_LOCK = "hashtextextended('tieout.refresh:' || %(holder)s::text, 0)"
_LOAD = "select sealed, before, begun_with, generation from tieout.refresh_token where holder = %(holder)s"
_KEEP = """
insert into tieout.refresh_token (holder, sealed, begun_with) values (%(holder)s, %(sealed)s, %(begun_with)s)
on conflict (holder) do update set before = refresh_token.sealed, sealed = excluded.sealed,
    begun_with = excluded.begun_with, generation = refresh_token.generation + 1, kept_at = clock_timestamp()
    where refresh_token.generation = %(generation)s
"""


class StoredRefresh:
    """See connectors.oauth.RefreshShelf; for one connection.

    Args:
        engine: of the store.
        connection: the row is that of its app at its company (`holder_of`).
        fernet_keys: Airflow's own, the newest first; none: a key is made of the connection's client secret.
        pause: sleeps between two tries to keep.

    Raises:
        ConfigurationFault: a Fernet key is none.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        fernet_keys: Sequence[str] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = connection.name
        self.holder = holder_of(connection)
        self._engine = engine
        self._seal = _sealer(connection, fernet_keys)
        self._pause = pause
        self._first = ""
        self._generation = 0

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See RefreshShelf. A writer that dies frees the lock with its session."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql(f"select pg_advisory_lock({_LOCK})", {"holder": self.holder})
            try:
                yield
            finally:
                try:
                    conn.exec_driver_sql(f"select pg_advisory_unlock({_LOCK})", {"holder": self.holder})
                except Retriable as error:
                    # The session is gone, and the lock with it.
                    log.warning("refresh.lock_gone", connection=self.name, error=str(error))
                    conn.invalidate()

    def current(self, first: str) -> Sequence[str]:
        """See RefreshShelf."""
        with self._engine.connect() as conn:
            row = conn.exec_driver_sql(_LOAD, {"holder": self.holder}).one_or_none()
        self._first = first
        if row is None:
            self._generation = 0
            return [first]
        self._generation = row.generation
        is_new = row.begun_with != _print_of(first)
        try:
            kept = [self._seal.decrypt(text.encode()).decode() for text in (row.sealed, row.before) if text]
        except InvalidToken:
            if is_new:
                return [first]
            raise ConfigurationFault(
                f"connection {self.name!r}: its refresh token in the store was sealed with another key; set "
                "AIRFLOW__CORE__FERNET_KEY as Airflow has it (or the client secret as it was), or join the app again "
                "and enter the new refresh token in the connection"
            ) from None
        return list(dict.fromkeys([first, *kept] if is_new else kept))

    def keep(self, token: str) -> None:
        """See RefreshShelf. Raises Retriable where another writer came in between: then that one's token counts."""
        values = {
            "holder": self.holder,
            "sealed": self._seal.encrypt(token.encode()).decode(),
            "begun_with": _print_of(self._first),
            "generation": self._generation,
        }
        for left in range(KEEP_TRIES - 1, -1, -1):
            try:
                with self._engine.begin() as conn:
                    conn.exec_driver_sql("set local synchronous_commit = on")
                    kept = conn.exec_driver_sql(_KEEP, values).rowcount
            except Retriable as error:
                if not left:
                    raise
                log.warning("refresh.not_kept_yet", connection=self.name, error=str(error))
                self._pause(KEEP_PAUSE)
                continue
            if not kept and not self._is_kept(token):
                raise Retriable(f"connection {self.name!r}: another process kept a refresh token in between")
            self._generation += 1
            return

    def _is_kept(self, token: str) -> bool:
        """Whether an earlier try was committed, and only its answer lost."""
        with self._engine.connect() as conn:
            row = conn.exec_driver_sql(_LOAD, {"holder": self.holder}).one()
        return self._seal.decrypt(row.sealed.encode()) == token.encode()


def holder_of(connection: Connection) -> str:
    """Whose token it is: the app's, at the company. Not the connection's name: Airflow's Test button makes up one."""
    return "/".join((connection.system, connection.login, str(connection.extra.get("realm_id") or "")))


def _sealer(connection: Connection, fernet_keys: Sequence[str]) -> MultiFernet:
    own = HKDF(SHA256(), 32, holder_of(connection).encode(), b"tieout refresh token").derive(
        connection.password.encode()
    )
    try:
        given = [Fernet(key.strip()) for key in fernet_keys if key.strip()]
    except ValueError:
        raise ConfigurationFault("AIRFLOW__CORE__FERNET_KEY is no Fernet key (32 bytes, url-safe base64)") from None
    # The own one always reads: what was sealed before there was an Airflow stays readable.
    return MultiFernet([*given, Fernet(base64.urlsafe_b64encode(own))])


def _print_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
