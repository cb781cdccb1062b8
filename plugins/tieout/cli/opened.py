"""The store as a command has it: opened for the command, closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from tieout.model.settings import load_settings
from tieout.store.engine import connect


@contextmanager
def store() -> Iterator[Engine]:
    """An engine on the database of the settings.

    Raises:
        ConfigurationFault: there is none, or it does not let us in.
    """
    engine = connect(load_settings().require_database_url())
    try:
        yield engine
    finally:
        engine.dispose()
