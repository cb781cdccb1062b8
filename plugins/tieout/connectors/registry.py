"""Which connector speaks to which system: each system's own SYSTEM, found by its folder."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from tieout.connectors import systems
from tieout.connectors.base import Connector
from tieout.connectors.capabilities import Capabilities, System
from tieout.connectors.gate import allowance_of
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault


def system(name: str) -> System:
    """The system of this name.

    Raises:
        ConfigurationFault: there is none.
    """
    if name not in systems.names():
        raise ConfigurationFault(f"no connector for {name!r}; known are {', '.join(systems.names())}")
    found: System = import_module(f"tieout.connectors.{name}.system").SYSTEM
    return found


def capabilities(name: str) -> Capabilities:
    """What a system can do. Raises ConfigurationFault for one that is not there."""
    return system(name).capabilities


def of_role(role: Literal["crm", "ledger"]) -> tuple[str, ...]:
    """The systems that can be this side of a link, in alphabetical order."""
    return tuple(name for name in systems.names() if capabilities(name).role == role)


def connect(connection: Connection, outside: Outside | None = None) -> Connector:
    """The connector for the connection's system. Makes no call; the caller closes it. It serves one thread; those of
    one connection may share gate and shelf.

    Raises:
        ConfigurationFault: an unknown system, or a form that is not filled in as it must be.
    """
    return _of(connection).connector(connection, outside or Outside())


def allowance(connection: Connection) -> Allowance:
    """How often the connection may be called, as its vendor documents it and the connection says.

    Raises:
        ConfigurationFault: an unknown system, or a number out of bounds.
    """
    return allowance_of(connection, _of(connection).allowance)


def _of(connection: Connection) -> System:
    try:
        return system(connection.system)
    except ConfigurationFault as error:
        raise ConfigurationFault(f"connection {connection.name!r}: {error}") from None
