"""Ports of demos that start at the same time."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.demo import ROOT
from tieout.orchestration.demo import ports
from tieout.orchestration.demo.places import Places

CHOOSE = """
import sys
from pathlib import Path
from tieout.orchestration.demo import ports
from tieout.orchestration.demo.places import Places
ports.PREFERRED_PORTS = {"api": int(sys.argv[2]), "sandbox": int(sys.argv[3])}
with ports.kept_ports(Places(Path(sys.argv[1]), Path(sys.argv[1]))) as mine:
    print(mine.api, mine.sandbox, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def locks_of_the_test_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def preferred(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Two ports that are free now, preferred by every demo of the test."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        found = (one.getsockname()[1], other.getsockname()[1])
    monkeypatch.setattr(ports, "PREFERRED_PORTS", {"api": found[0], "sandbox": found[1]})
    return found


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[list[Places]]:
    made = [Places(tmp_path, tmp_path / name) for name in ("a", "b")]
    for places in made:
        places.home.mkdir()
    yield made
    assert not list(Path(tempfile.gettempdir()).glob("tieout-port-*"))


def test_demos_that_start_at_once_never_choose_the_same_port(tmp_path: Path, preferred: tuple[int, int]) -> None:
    with ExitStack() as stack:
        demos = []
        for n in range(4):
            home = tmp_path / str(n)
            home.mkdir()
            command = [sys.executable, "-c", CHOOSE, str(home), *map(str, preferred)]
            demo = subprocess.Popen(
                command, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}/plugins", "TMPDIR": str(tmp_path)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            demos.append(stack.enter_context(demo))
        # None has ended when the last has chosen: each still keeps its ports.
        chosen = [port for demo in demos if demo.stdout for port in demo.stdout.readline().split()]
    assert len(chosen) == len(set(chosen)) == 8
    assert set(map(str, preferred)) <= set(chosen)


def test_what_the_kept_port_is_for_can_listen_on_it(homes: list[Places], preferred: tuple[int, int]) -> None:
    with ports.kept_ports(homes[0]) as mine, socket.create_server(("127.0.0.1", mine.api)):
        assert (mine.api, mine.sandbox) == preferred
    with socket.create_server(("127.0.0.1", preferred[0])), ports.kept_ports(homes[1]) as others:
        assert others.api not in preferred and others.sandbox == preferred[1]


def test_the_next_start_takes_the_ports_of_the_last(homes: list[Places], preferred: tuple[int, int]) -> None:
    with socket.create_server(("127.0.0.1", preferred[0])), ports.kept_ports(homes[0]) as first:
        pass
    with ports.kept_ports(homes[0]) as again:
        assert again == first and first.api != preferred[0]
