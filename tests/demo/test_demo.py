"""`make demo` as a person runs it: it comes up, both runs close, the pages show them, and it ends without a trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.demo import DEMO_LIMIT, ROOT, Demo, demo_command, new_home
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.programs import known, marked
from tieout.orchestration.demo.system import mark_of, take_down
from tieout.reconcile import lines, report_store
from tieout.reports.tie_out import AREAS
from tieout.store import runs
from tieout.store.engine import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def home() -> Iterator[Path]:
    import shutil

    home = new_home()
    yield home
    take_down(Places(ROOT, home))
    shutil.rmtree(home, ignore_errors=True)


def test_the_demo_ends_well_and_says_where_to_look(demo: Demo) -> None:
    assert demo.exit_code == 0, demo.printed[-4000:]
    assert f"Airflow:  {demo.url}" in demo.printed and demo.password in demo.printed
    assert demo.printed.count("Quote to cash of link demo") == 2
    assert demo.printed.count("Returns of link demo") == 1 and "back of a paid invoice" in demo.told


def test_limits_are_approved_an_order_is_refused_and_one_is_released(demo: Demo) -> None:
    assert re.search(r"sales: .*\d{8} refused by the CRM: .*available credit", demo.told)
    line = r"Credit: \d+ limits, proposed by .* and approved by .*; order \d{8} of [\d,.]+ GBP waited .* now posted"
    assert re.search(line, demo.told)
    with demo.api() as api:
        page = api.page("/tieout/credit?show=limit")
    assert "Ruth Meyer" in page and 'id="customers"' in page and "As of never" not in page


def test_both_runs_close_by_count_and_by_amount(demo: Demo) -> None:
    engine = connect(demo.database_url)
    with engine.connect() as conn:
        second, first = runs.latest(conn, "demo", "quote_to_cash", limit=2)
    engine.dispose()
    parts = ("posted", "unchanged", "quarantined", "held", "cancelled", "in_flight")
    for run in (first, second):
        for numbers in (run.counts, *run.amounts.values()):
            assert numbers["read"] == sum(numbers.get(part, 0) for part in parts), (run.run_id, numbers)
    assert first.counts["posted"] > 300 and first.counts["unchanged"] == 0
    assert second.counts["unchanged"] > 300
    assert len(first.amounts) > 3, "several currencies"
    assert first.airflow_dag_id == "quote_to_cash__demo" and first.airflow_run_id


def test_both_systems_are_tied_out_to_the_last_cent(demo: Demo) -> None:
    engine = connect(demo.database_url)
    with engine.connect() as conn:
        (run,) = runs.latest(conn, "demo", "reconciliation")
        report = report_store.of_run(conn, run.run_id)
        assert report is not None and report.state == "tied"
        totals, classes = lines.totals(conn, report.report_id), lines.classes(conn, report.report_id)
    engine.dispose()
    assert {one.area for one in totals} == set(AREAS), "every area is compared"
    assert any(one.a_amount != one.b_amount for one in totals) and all(one.unexplained == 0 for one in totals)
    # What quote-to-cash holds and what finance did by hand after the credit sync is there, and nothing is a mystery.
    assert {"rejected_or_held", "in_transit"} <= {one.class_ for one in classes}
    assert "Tie-out of link demo" in demo.printed and re.search(r"Breaks by class: \d+ ", demo.told)


def test_the_ledger_has_one_invoice_for_each_number(demo: Demo) -> None:
    engine = connect(demo.database_url)
    with engine.connect() as conn:
        doubles = conn.execute(
            text("select natural_key from tieout.intent where state = 'CONFIRMED' and operation = 'invoices.create' "
                 "group by 1 having count(*) > 1")
        ).all()  # fmt: skip
    engine.dispose()
    assert doubles == []


def test_the_pages_need_a_login_and_show_the_run(demo: Demo) -> None:
    assert httpx.get(f"{demo.url}/tieout/", trust_env=False).status_code == 401
    with demo.api() as api:
        page = api.page("/tieout/runs")
        run_id = re.search(r"/tieout/runs/([0-9a-f-]{36})", page)
        assert run_id and "Closes" in api.page(f"/tieout/runs/{run_id[1]}")


def test_secrets_are_in_no_log(demo: Demo) -> None:
    secrets = [demo.password, "sandbox-secret"]
    for file in (demo.home / "logs").rglob("*.log"):
        found = [secret for secret in secrets if secret in file.read_text(errors="replace")]
        assert found == [], file.name


def test_files_with_secrets_are_closed_to_others(demo: Demo) -> None:
    for name in ("secrets.json", "connections.json", "database_url"):
        assert (demo.home / name).stat().st_mode & 0o077 == 0, name


def test_an_interrupted_demo_leaves_nothing_running_and_can_be_started_again(home: Path) -> None:
    command, environment = demo_command(home, "up")
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        # A shell's background job ignores Ctrl-C, and so would everything that its tests start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    pids = home / "pids"
    end = time.monotonic() + DEMO_LIMIT
    while not (pids / "api-server.json").exists():  # in the middle of the start
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 130, printed.decode()
    assert "nothing is left running" in printed.decode()
    assert marked(mark_of(home)) == []
    assert known(pids) == []
    assert not (home / "database_url").exists(), "PostgreSQL has ended, too"


def test_stop_ends_only_what_is_ours(home: Path) -> None:
    """A pid file of before a reboot may name somebody else's process."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (home / "pids").mkdir(parents=True)
        (home / "pids" / "scheduler.json").write_text(f'{{"pid": {stranger.pid}, "started": "another time"}}')
        command, environment = demo_command(home, "down")
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "nothing was running" in done.stdout
        os.kill(stranger.pid, 0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
