"""What the files of the standard suite share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.connectors.vendors import Vendor
from tieout.connectors.base import Answer, Connector, Request
from tieout.connectors.wire import Counters

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def ids_of(vendor: Vendor, connector: Connector, since: datetime | None = None, upto: datetime = FAR) -> list[str]:
    """The ids of what changed in the window, in the order in which they came."""
    key = vendor.entity.key
    return [str(record[key]) for page in connector.changed(vendor.entity, since, upto) for record in page.records]


def fault(vendor: Vendor, name: str, *, write: bool = False, times: int = 1, **params: Any) -> None:
    """The sandbox does this to the next calls that read, or write."""
    path, method = (vendor.write_path, "P*") if write else (vendor.read_path, "*")
    vendor.sandbox.faults(
        {"system": vendor.name, "method": method, "path": path, "fault": name, "times": times, "params": params}
    )


def send(connector: Connector, requests: Sequence[Request]) -> list[Answer]:
    """The answers to requests of one operation."""
    return list(connector.send(connector.operation(requests[0].operation), requests))


def counters(connector: Connector) -> Counters:
    """What a connector counts: every connector has it, beside the protocol."""
    found: Counters = connector.counters  # type: ignore[attr-defined]  # see above
    return found
