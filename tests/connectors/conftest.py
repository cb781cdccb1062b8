"""Fixtures of the standard suite: each test that asks for `vendor` runs once for each system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.vendors import Vendor, systems, vendor_of
from tests.connectors.wires import Time
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import Connector


@pytest.fixture(params=systems())
def vendor(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> Vendor:
    """A system's sandbox, new, with a clock that nobody waits for."""
    return vendor_of(request.param)(sandbox, Time())


@pytest.fixture
def connector(vendor: Vendor) -> Iterator[Connector]:
    made = vendor.connector()
    yield made
    made.close()
