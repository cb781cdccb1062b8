"""What the connectors of all vendors share: their operations, what they counted, their sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from tieout.connectors.base import Operation, Request
from tieout.connectors.http import HttpClient
from tieout.connectors.wire import Counters, number_from
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault


class VendorConnector:
    """The part of a connector that is the same for every vendor; the rest of base.Connector is its own.

    Args:
        http: the connector's only client.
        declare: (time-out of a write, latest apply, look-up lag; seconds) -> the vendor's operations by name; the last
            two are the connection's `latest_apply` and `look_up_lag`, see base.Operation.

    Attributes:
        label: the vendor's name in messages.
        look_up_lag: seconds, where the connection says nothing.

    Raises:
        ConfigurationFault: one of the two numbers is out of bounds.
    """

    label: ClassVar[str]
    look_up_lag: ClassVar[float] = 10.0

    def __init__(
        self,
        connection: Connection,
        http: HttpClient,
        declare: Callable[[float, float, float], Mapping[str, Operation]],
    ) -> None:
        self.name = connection.name
        self._http = http
        self._operations = declare(
            http.limits.longest_write,
            number_from(connection, "latest_apply", 120.0, 0.0, 3600.0),
            number_from(connection, "look_up_lag", self.look_up_lag, 0.0, 600.0),
        )

    @property
    def counters(self) -> Counters:
        """What was called since the connector was made."""
        return self._http.counters

    def operation(self, name: str) -> Operation:
        """See base.Target."""
        if name not in self._operations:
            raise ConfigurationFault(
                f"{self.label} has no operation {name!r}; known are {', '.join(sorted(self._operations))}"
            )
        return self._operations[name]

    def close(self) -> None:
        """Gives the sockets back."""
        self._http.close()


def check_size(operation: Operation, requests: Sequence[Request]) -> None:
    """Raises ConfigurationFault for more items than one call of the operation takes."""
    if len(requests) > operation.batch:
        raise ConfigurationFault(f"{len(requests)} items for {operation.name}; at most {operation.batch}")
