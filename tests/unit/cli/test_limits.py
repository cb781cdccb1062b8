"""A vendor's limit on the command line: it says when it goes on, and has an exit code of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.support.sandbox import SandboxProcess
from tests.unit.cli.conftest import Command
from tieout.scenarios.demo_doors import Doors


def test_a_used_up_day_ends_with_its_own_code_and_the_time(
    command: Command, connect_demo: Callable[..., None], sandbox: SandboxProcess
) -> None:
    connect_demo(sandbox)
    Doors(sandbox.url).custom_fields()
    sandbox.settings("xero", limits={"day": 3})
    result = command("quote-to-cash", "demo")
    assert result.exit_code == 79
    assert "the day's calls are used up, or what is left of them is kept for urgent work" in result.stderr
    found = re.search(r"run it again after (\S+ \S+) UTC, and it goes on", result.stderr)
    assert found is not None
    until = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(minutes=58) < until <= timedelta(minutes=60)
