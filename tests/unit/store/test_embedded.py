"""The embedded server: as root and as an ordinary user, with long paths, beyond its starter's end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.postgres import FAST
from tieout.model.errors import ConfigurationFault, Retriable
from tieout.model.settings import PROJECT
from tieout.store import embedded
from tieout.store.engine import connect


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tieout-test-"))
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def ask(url: str, question: str) -> object:
    engine = connect(url)
    try:
        with engine.connect() as conn:
            return conn.execute(sa.text(question)).scalar_one()
    finally:
        engine.dispose()


def test_start_and_stop_are_idempotent_and_data_stay(home: Path) -> None:
    server = embedded.start(home, FAST)
    assert embedded.start(home, FAST) == server == embedded.running(home)
    assert server.create_database("airflow")
    assert not server.create_database("airflow")
    assert (home / "database_url").read_text().strip() == server.url_for("tieout")
    assert (home / "database_url").stat().st_mode & 0o077 == 0
    assert ask(server.url_for("airflow"), "show listen_addresses") == ""
    assert ask(server.airflow_url_for("airflow"), "select current_database()") == "airflow"
    assert embedded.stop(home)
    assert not embedded.stop(home)
    assert embedded.running(home) is None
    assert not (home / "database_url").exists()
    again = embedded.start(home, FAST)
    assert not again.create_database("airflow"), "it is still there"


def test_durability_is_postgresqls_own(home: Path) -> None:
    url = embedded.start(home).url_for("tieout")
    assert [ask(url, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_nobody_else_may_use_the_socket(home: Path) -> None:
    server = embedded.start(home, FAST)
    assert server.socket_dir.stat().st_mode & 0o077 == 0
    assert (home / "postgres").stat().st_mode & 0o077 == 0


def test_a_home_whose_path_is_too_long_for_a_socket(home: Path) -> None:
    deep = home / ("a folder with a long name and it's blanks " * 3).strip()
    server = embedded.start(deep, FAST)
    try:
        assert len(os.fsencode(server.socket_dir)) < embedded.MAX_SOCKET_PATH_BYTES - 15
        assert ask(server.url_for("tieout"), "select 1") == 1
    finally:
        embedded.stop(deep)
        shutil.rmtree(server.socket_dir, ignore_errors=True)


def test_starters_at_once_start_one_server(home: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(lambda _: embedded.start(home, FAST), range(3)))
    assert len({server.pid for server in servers}) == 1


CHILD = """
import os, sys
from pathlib import Path
import psycopg
from tieout.store import embedded
home, user, group, what = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if user != os.geteuid():
    os.setgroups([]), os.setgid(group), os.setuid(user)
print(embedded.start(home, {"fsync": "off"}).pid if what == "start" else embedded.stop(home))
"""


def elsewhere(what: str, home: Path, user: int = os.geteuid(), group: int = os.getegid()) -> str:
    """Starts or stops the server in a process of its own, as another user where one is given."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(home), str(user), str(group), what], capture_output=True, text=True,
        timeout=200, check=False, env={"PYTHONPATH": str(PROJECT / "plugins"), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_server_outlives_its_starter(home: Path) -> None:
    pid = int(elsewhere("start", home))
    server = embedded.running(home)
    assert server is not None
    assert server.pid == pid
    assert ask(server.url_for("tieout"), "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs every other test of this file so")
def test_as_an_ordinary_user(home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    pid = elsewhere("start", home, nobody.pw_uid, nobody.pw_gid)
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    assert elsewhere("stop", home, nobody.pw_uid, nobody.pw_gid) == "True"


def test_a_server_that_was_killed_comes_back_with_its_data(home: Path) -> None:
    server = embedded.start(home, {"max_connections": "20"})
    engine = connect(server.url_for("tieout"))
    with engine.begin() as conn:
        conn.execute(sa.text("create table kept as select 42 as n"))
    with engine.connect() as conn:
        conn.execute(sa.text("select 1"))
        os.kill(server.pid, 9)
        with pytest.raises(Retriable, match="went away"):
            for _ in range(1000):  # the session learns of it when its own process ends
                conn.execute(sa.text("select pg_sleep(0.01)"))
    with pytest.raises(Retriable, match="not reachable"), engine.connect():
        pass
    back = embedded.start(home)
    assert back.pid != server.pid
    with engine.connect() as conn:
        assert conn.execute(sa.text("select n from kept")).scalar_one() == 42
    engine.dispose()


def test_a_setting_that_postgresql_refuses_is_shown(home: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"(?s)pg_ctl.*failed.*no_such_setting"):
        embedded.start(home, {"no_such_setting": "1"})
