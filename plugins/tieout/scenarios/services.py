"""What every step of a scenario works with, made from a link's name: both systems, their mappings, the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

from sqlalchemy import Engine

from tieout.connectors.base import Connector
from tieout.connectors.capabilities import Capabilities
from tieout.connectors.outside import Outside
from tieout.connectors.registry import allowance, capabilities
from tieout.connectors.registry import connect as connect_system
from tieout.delivery.gate import SharedGate
from tieout.mapping.load import apply_overrides, load_link, load_system, mappings_hash
from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.model.settings import Settings, load_settings
from tieout.model.standing import CREDITS
from tieout.quality.suites import suites_hash
from tieout.scenarios import pairs
from tieout.scenarios.credentials import from_environment
from tieout.scenarios.tokens import token_shelf
from tieout.store.engine import connect as connect_store

#: Sessions of the store that are kept, and as many again for a moment: two for each worker of a delivery.
POOL = 6


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two systems of a link. `name` is its connection's name: staging and intents are keyed by it.

    `open` gives another connector of the same connection, for another thread; it shares the token and the `gate`.
    """

    name: str
    system: str
    connector: Connector
    mappings: Mapping[str, EntityMapping]
    host: str
    open: Callable[[], Connector] | None = None
    gate: SharedGate | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the system can do."""
        return capabilities(self.system)

    def record_url(self, record_id: str) -> str:
        """Where a person opens the record: stands on the invoice, so that finance finds the order."""
        return f"{self.host.rstrip('/')}/{record_id}"


def credits_of(ledger: Side) -> dict[str, str]:
    """What lowers a customer's balance in this ledger (model/standing.CREDITS)."""
    return {entity: kind for entity, kind in CREDITS.items() if entity in ledger.mappings}


@dataclass(frozen=True)
class Services:
    """Everything that a step needs. Opened for one link, closed by `open_services`."""

    settings: Settings
    engine: Engine
    link: Link
    crm: Side
    ledger: Side
    actor: str

    @cached_property
    def mapping_hash(self) -> str:
        return mappings_hash([*self.crm.mappings.values(), *self.ledger.mappings.values()])

    @cached_property
    def suite_hash(self) -> str:
        return suites_hash(self.settings.expectations)

    def suite(self, system: str, entity: str) -> Path | None:
        """The suite of an entity, None where it has none. `system` may be `ready`."""
        path = self.settings.expectations / system / f"{entity}.json"
        return path if path.is_file() else None


def find_link(settings: Settings, name: str) -> Link:
    """The link from include/links/<name>.yaml.

    Raises:
        ConfigurationFault: there is none, or it does not hold; with file:line.
    """
    path = settings.include / "links" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise ConfigurationFault(f"no link {name!r}: include/links has {', '.join(known) or 'none'}")
    link = load_link(path)
    if link.name != name:
        raise ConfigurationFault(f"include/links/{path.name}: the link is named {link.name!r}; expected {name!r}")
    return link


def connections_of_links(settings: Settings) -> dict[str, str]:
    """Connection that a link names -> its system. Files that cannot be used are left out: their DAGs say so."""
    files = sorted((settings.include / "links").glob("*.yaml"))
    return dict(pair for file in files for pair in _connections(file, file.stat().st_mtime_ns))


@cache
def _connections(file: Path, changed: int) -> tuple[tuple[str, str], ...]:
    """Read once for each version of a file: whoever finds the address of a receiver can ask for it at any rate."""
    try:
        link = load_link(file)
    except ConfigurationFault:
        return ()
    return (link.crm, link.crm_system), (link.ledger, link.ledger_system)


@contextmanager
def open_services(
    link_name: str,
    connections: Callable[[str], Connection] | None = None,
    on_secret: Callable[[str], None] | None = None,
    actor: str = "tieout",
) -> Iterator[Services]:
    """Services for one link; sockets and database sessions are given back at the end.

    Args:
        link_name: file stem in include/links.
        connections: connection name -> Connection; by default from the environment (credentials.py).
        on_secret: told of each fresh token, so that it can be masked in logs.
        actor: who does it, for the audit trail.
    """
    settings = load_settings()
    link = find_link(settings, link_name)
    get = connections or (lambda name: from_environment(name, settings))
    with ExitStack() as stack:
        engine = connect_store(settings.require_database_url(), pool_size=POOL)
        stack.callback(engine.dispose)
        sides = []
        for name, system in ((link.crm, link.crm_system), (link.ledger, link.ledger_system)):
            connection = get(name)
            if connection.system != system:
                raise ConfigurationFault(
                    f"link {link.name}: connection {name!r} is for {connection.system}; the link expects {system}"
                )
            gate = SharedGate(engine, name, allowance(connection))
            outside = Outside(on_secret=on_secret, gate=gate, shelf=token_shelf(engine, connection))
            opener = partial(connect_system, connection, outside)
            connector = opener()
            stack.callback(connector.close)
            mappings = {
                entity: apply_overrides(mapping, link)
                for entity, mapping in load_system(settings.include / "mappings", system).items()
            }
            sides.append(
                Side(
                    name,
                    system,
                    connector,
                    mappings,
                    connection.extra.get("record_url") or connection.host,
                    opener,
                    gate,
                )
            )
        crm, ledger = sides
        pairs.check(link, crm.capabilities, ledger.capabilities, crm.mappings, ledger.mappings)
        yield Services(settings, engine, link, crm, ledger, actor)
