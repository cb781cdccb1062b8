"""What the Test button of a connection's form runs: the connector's own findings, in words.

Tasks do not use hooks: they take connections through `connections.get_connection`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from tieout.connectors import systems
from tieout.connectors.outside import Outside
from tieout.model.errors import TieoutError
from tieout.orchestration.connections import keep_secret, translate
from tieout.orchestration.provider import hook_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tieout.connectors.base import Connector, Finding

#: The form shows one line of text; more than this is cut.
LONGEST_MESSAGE = 2000


class _ConnectorHook(BaseHook):  # type: ignore[misc]  # airflow is not followed by mypy here
    """A connection of ours. `connection_name` is the Airflow connection id."""

    conn_name_attr = "connection_name"

    def __init__(self, connection_name: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_name = connection_name or self.default_conn_name

    @contextmanager
    def opened(self) -> Iterator[Connector]:
        """The connector, open inside. A token that its vendor rotates is kept in the store, as by any task.

        Raises:
            ConfigurationFault: the form is not filled in as it must be, or no store is named.
        """
        from tieout.connectors.registry import connect
        from tieout.model.settings import load_settings
        from tieout.scenarios.tokens import opened_shelf

        connection = translate(self.get_connection(self.connection_name))
        with opened_shelf(load_settings(), connection) as shelf:
            connector = connect(connection, Outside(on_secret=keep_secret, shelf=shelf))
            try:
                yield connector
            finally:
                connector.close()

    def get_conn(self) -> Connector:
        """No connector outlives its shelf: use `opened`."""
        raise NotImplementedError("use `with hook.opened() as connector`")

    def test_connection(self) -> tuple[bool, str]:
        """Whether everything that Tieout needs is there, and one text that says what and what to do."""
        try:
            with self.opened() as connector:
                return in_words(connector.findings())
        except TieoutError as error:
            return False, str(error)


def _hook(system: str) -> type[_ConnectorHook]:
    values = {
        "__doc__": f"The connection type `{systems.PREFIX}{system}`.",
        "__module__": __name__,
        "default_conn_name": f"{system}_default",
        "conn_type": f"{systems.PREFIX}{system}",
        "hook_name": f"{systems.label(system)} (Tieout)",
    }
    return type(hook_class(system), (_ConnectorHook,), values)


# Airflow wants a class of its own, by name, for each connection type.
globals().update({hook_class(system): _hook(system) for system in systems.names()})


def in_words(findings: Sequence[Finding]) -> tuple[bool, str]:
    """All good: what was examined. Otherwise: each thing that is wrong with its remedy, nothing else."""
    wrong = [
        f"{finding.what}: {finding.remedy}" if finding.remedy else finding.what
        for finding in findings
        if not finding.ok
    ]
    text = "; ".join(wrong or [finding.what for finding in findings])
    return not wrong, text[:LONGEST_MESSAGE]
