"""Where the tokens of a connection are kept: in this process, and in the store what its vendor rotates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Engine

from tieout.connectors.oauth import TokenShelf
from tieout.delivery.refresh import StoredRefresh
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings
from tieout.store.engine import connect


def token_shelf(engine: Engine, connection: Connection) -> TokenShelf:
    """A shelf for the connectors of one connection in this process. Makes no call.

    Raises:
        ConfigurationFault: AIRFLOW__CORE__FERNET_KEY is set and no Fernet key.
    """
    keys = os.environ.get("AIRFLOW__CORE__FERNET_KEY", "").split(",")
    return TokenShelf(refresh=StoredRefresh(engine, connection, keys))


class _Nowhere:
    """The shelf of who has no store: a refresh token that were used would be lost."""

    def __init__(self, why: str) -> None:
        self._why = why

    def exclusive(self) -> AbstractContextManager[None]:
        """Raises ConfigurationFault."""
        raise ConfigurationFault(f"the refresh token has to be kept in Tieout's store: {self._why}")

    def current(self, first: str) -> Sequence[str]:
        """Nothing."""
        return ()

    def keep(self, token: str) -> None:
        """Raises ConfigurationFault."""
        raise ConfigurationFault(f"the refresh token has to be kept in Tieout's store: {self._why}")


@contextmanager
def opened_shelf(settings: Settings, connection: Connection) -> Iterator[TokenShelf]:
    """As `token_shelf`, for who has no engine at hand. Without a store no token is used that its use replaces."""
    try:
        engine = connect(settings.require_database_url(), pool_size=2)
    except ConfigurationFault as error:
        yield TokenShelf(refresh=_Nowhere(str(error)))
        return
    try:
        yield token_shelf(engine, connection)
    finally:
        engine.dispose()
