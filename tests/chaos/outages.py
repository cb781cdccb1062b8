"""Campaigns: PostgreSQL's postmaster is killed, and PostgreSQL's disk is full."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.chaos.report import Tally
from tests.chaos.world import Run, World
from tieout.store import embedded

#: Workers that go on through the outage; each begins again when the database is gone, as Airflow's retries do.
WORKERS = 2
STUBBORN = {"batch": 5, "claim": 20, "patience": 60.0, "tries": 1000}
#: A twentieth of a second in half of the requests: many kills then fall between a request and its confirmation.
SLOW = {"fault": "slow", "probability": 0.5, "params": {"seconds": 0.05}}


def postmaster_killed(world: World, kills: int, runs: int, orders: int = 60) -> Tally:
    """kill -9 of the postmaster while workers deliver; started again at once, and killed again."""
    tally, chance = Tally("kill -9 of PostgreSQL's postmaster"), random.Random(5)
    for number in range(runs):
        with world.run(orders) as run:
            world.sandbox.faults(SLOW)
            share = kills // runs + (number < kills % runs)
            for done in range(share):
                workers = run.keep(WORKERS, **STUBBORN)
                run.wait_for_sends(chance.randint(1, max(1, orders * 2 // share)))
                time.sleep(chance.uniform(0.0, 0.2))
                world.kill_postgres()
                run.kills += 1
                world.start_postgres()
                assert workers, done
            world.nursery.end_all()
            world.sandbox.faults()
            tally.add(run, *run.settle())
    return tally


# --- disk full --------------------------------------------------------------------------------------------------------

#: Of the file system that PostgreSQL gets: its own files take about 90 MB.
MEGABYTES = 220
#: Small, so that a log segment has to be made while there is no room for one.
SMALL_LOG = {"min_wal_size": "32MB", "max_wal_size": "64MB"}
#: Seconds that workers try while the disk is full.
FULL_SECONDS = 3.0


class FullDisk(World):
    """A world whose PostgreSQL lives on a small file system of its own (tmpfs; needs the right to mount)."""

    def __init__(self) -> None:
        super().__init__(SMALL_LOG)
        self.postgres_home.mkdir()

    def __enter__(self) -> World:
        options = f"size={MEGABYTES}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.postgres_home)], check=True)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.empty()
            embedded.stop(self.postgres_home)
        subprocess.run(["umount", str(self.postgres_home)], check=False)
        super().__exit__(*error)

    def fill(self) -> None:
        """Leaves not one byte."""
        with (self.postgres_home / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)

    def empty(self) -> None:
        """Gives the room back."""
        (self.postgres_home / "ballast").unlink(missing_ok=True)


def may_mount() -> str:
    """Why a small file system cannot be mounted here; empty when it can."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "a small file system for PostgreSQL needs root and mount"
    place = Path(tempfile.mkdtemp(prefix="tieout-chaos-mount-"))
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        return done.stderr.decode().strip()
    finally:
        place.rmdir()


def disk_full(runs: int, orders: int = 30) -> Tally:
    """PostgreSQL's file system is full for some seconds while workers deliver; every second time its log is, too."""
    tally = Tally("disk full for PostgreSQL", skipped=may_mount())
    if tally.skipped:
        return tally
    with FullDisk() as world:
        assert isinstance(world, FullDisk)
        for number in range(runs):
            with world.run(orders) as run:
                world.sandbox.faults(SLOW)
                run.keep(WORKERS, **STUBBORN)
                run.wait_for_sends(orders // 3 * (1 + number % 3))
                world.fill()
                met = _write_until_it_fails(run, new_log_segments=number % 2 == 1)
                end = time.monotonic() + FULL_SECONDS
                while time.monotonic() < end:
                    run.keep(WORKERS, **STUBBORN)
                    world.nursery.listen(0.2)
                world.empty()
                # Where its log could not be written PostgreSQL has ended, and is started again as an operator would.
                world.start_postgres()
                world.nursery.end_all()
                world.sandbox.faults()
                tally.add(run, *run.settle(), hits=met)
    return tally


def _write_until_it_fails(run: Run, *, new_log_segments: bool) -> int:
    """Writes until PostgreSQL cannot, for want of room: 1. With new segments of its log it ends altogether."""
    url = run.url.replace("+psycopg://", "://", 1)
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            for _ in range(50):
                conn.execute("create table if not exists chaos_filler (x text)")
                conn.execute("insert into chaos_filler select repeat('x', 1000) from generate_series(1, 1000)")
                if new_log_segments:
                    conn.execute("select pg_switch_wal()")
    except (psycopg.errors.DiskFull, psycopg.OperationalError):
        return 1
    raise AssertionError("the disk was never full")
