"""A scenario's world for tests that look at one step closely: real sandbox, real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import Given, load_scenario
from tests.scenarios.world import World, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.scenarios.services import Services

Begin = Callable[[str], tuple[World, Services]]
BeginWith = Callable[[Given], tuple[World, Services]]


@pytest.fixture
def begin(sandbox: SandboxProcess, engine: Engine) -> Iterator[Begin]:
    """`world, services = begin("order_becomes_invoice")`: the scenario's beginning, before any run."""
    with ExitStack() as stack:

        def beginning(name: str) -> tuple[World, Services]:
            world = World(load_scenario(name)[0], sandbox, engine)
            stack.callback(world.close)
            world.begin()
            both = (crm_connection(sandbox, "crm"), ledger_connection(sandbox, "ledger"))
            return world, stack.enter_context(services_of(world.link, *both, engine))

        yield beginning


@pytest.fixture
def begin_with(sandbox: SandboxProcess, engine: Engine, tmp_path: Path) -> Iterator[BeginWith]:
    """`world, services = begin_with(Given(...))`: as `begin`, and without suites: they take most of a small run."""
    with ExitStack() as stack:

        def beginning(of: Given) -> tuple[World, Services]:
            world = World(of, sandbox, engine)
            stack.callback(world.close)
            world.begin()
            both = (crm_connection(sandbox, "crm"), ledger_connection(sandbox, "ledger"))
            services = stack.enter_context(services_of(world.link, *both, engine))
            return world, replace(services, settings=replace(services.settings, project=tmp_path))

        yield beginning
