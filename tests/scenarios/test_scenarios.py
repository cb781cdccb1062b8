"""Each folder beside this file: given.yaml is set up in the sandbox, Tieout runs, expect.yaml must hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import load_scenario, scenario_names
from tests.scenarios.observe import differences
from tests.scenarios.world import World
from tests.support.sandbox import SandboxProcess


@pytest.mark.slow
@pytest.mark.parametrize("name", scenario_names())
def test_scenario(
    name: str, sandbox: SandboxProcess, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path))
    given, expect = load_scenario(name)
    world = World(given, sandbox, engine)
    try:
        world.begin()
        world.run()
        for step in given.steps:
            world.happen(step)
            world.run()
        found = differences(world, expect)
        assert not found, "\n".join(found)
    finally:
        world.close()
