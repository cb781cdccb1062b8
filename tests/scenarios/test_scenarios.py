"""Each folder beside this file: given.yaml is set up in the sandbox, Tieout runs, expect.yaml must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.scenarios.format import load_scenario, scenario_names
from tests.scenarios.observe import differences
from tests.scenarios.world import World
from tests.support.sandbox import SandboxProcess


def marked(name: str) -> Any:
    """The folder; what its example is about beside billing, where Tieout runs more than that."""
    about = [one for one in load_scenario(name)[0].runs if one != "quote_to_cash"] or ["quote_to_cash"]
    words = "worked examples for accountants: given records, and the documents that are expected"
    return pytest.param(name, marks=pytest.mark.proves(words, scenario=about[0], pair=("salesforce", "xero")))


@pytest.mark.slow
@pytest.mark.parametrize("name", [marked(name) for name in scenario_names()])
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
