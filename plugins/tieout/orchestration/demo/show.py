"""What the person who typed `make demo` sees: phases, the states of tasks as they change, the closing summary.

Plain lines where the output is no terminal, so that a log reads as well.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tieout.model.tie_out import Total
from tieout.reconcile.classes import CLASSES
from tieout.reconcile.lines import ClassLine
from tieout.reconcile.report_store import Report
from tieout.reports.present import PARTS, closing, duration, words
from tieout.store.runs import Run

#: The logger of orchestration/notices.py, as it stands in a line of a task's log.
_NOTICES = '"logger":"tieout.orchestration.notices"'

_STYLES = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "running": "cyan",
    "up_for_retry": "yellow",
}


class Screen:
    """Writes to a rich console. `began` is when the clock of the shown seconds was started."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self.began = time.monotonic()
        self._seen: dict[str, str] = {}

    def line(self, text: str) -> None:
        """One line with the seconds since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.began:6.1f} s[/dim]  {text}")

    def new_run(self, title: str) -> None:
        """Forgets the states of the run before."""
        self._seen = {}
        self.line(f"[bold]{title}[/bold]")

    def tasks(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Tells of each task whose state has changed since the last call, once it means something to a person."""
        for name, instance in states.items():
            state = str(instance.get("state") or "waiting")
            if self._seen.get(name, "waiting") == state:
                continue
            self._seen[name] = state
            if state in _STYLES:
                took = duration(instance.get("start_date"), instance.get("end_date"))
                took = f" after {took}" if took and state != "running" else ""
                self.line(f"  {words(name):<11} [{_STYLES[state]}]{words(state)}[/]{took}")

    def summary(self, run: Run) -> None:
        """The closing account of a run, by count and by amount."""
        table = Table(title=f"{words(run.scenario).capitalize()} of link {run.link}: {run.state}", title_justify="left")
        table.add_column("")
        for heading in ("read", *PARTS):
            table.add_column(words(heading), justify="right")
        table.add_column("closes", justify="center")
        for row in closing(run.counts, run.amounts):
            table.add_row(row["what"], row["read"], *row["parts"], "[green]yes" if row["closes"] else "[bold red]NO")
        self.console.print(table)
        self._reasons(run.counts.get("reasons") or [])

    def _reasons(self, reasons: Sequence[Sequence[Any]]) -> None:
        if not reasons:
            return
        table = Table(title="Why records wait for a person", title_justify="left")
        for heading in ("outcome", "reason"):
            table.add_column(heading)
        table.add_column("records", justify="right")
        for outcome, reason, count in reasons:
            table.add_row(str(outcome), words(str(reason)), str(count))
        self.console.print(table)

    def tie_out(self, report: Report, totals: Sequence[Total], classes: Sequence[ClassLine]) -> None:
        """Page one of a reconciliation: both sides, the difference, what explains it, what is left."""
        title = f"Tie-out of link {report.link} as of {report.as_of}: {report.state}"
        table = Table(title=title, title_justify="left")
        for heading in ("", "", "CRM", "ledger", "difference", "explained", "unexplained"):
            table.add_column(heading, justify="right" if heading else "left")
        for one in totals:
            amounts = (one.a_amount, one.b_amount, one.a_amount - one.b_amount, one.explained, one.unexplained)
            table.add_row(words(one.area), one.currency, *(one.text(amount) for amount in amounts))
        self.console.print(table)
        counts: Counter[str] = Counter()
        for found in classes:
            counts[CLASSES[found.class_].words] += found.count
        told = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
        self.console.print(f"Breaks by class: {told}", markup=False, soft_wrap=True)

    def notices(self, folder: Path) -> None:
        """What the failed steps of a run told, read from Airflow's logs of that run."""
        for file in sorted(folder.rglob("*.log")):
            for line in file.read_text(errors="replace").splitlines():
                if _NOTICES in line:
                    self.console.print(str(json.loads(line)["event"]), markup=False, style="red", soft_wrap=True)

    def farewell(self, url: str, password: str) -> None:
        """Where to look and how to end it."""
        self.console.print()
        self.console.print(f"Airflow:  {url}        user admin, password {password}", soft_wrap=True)
        self.console.print(
            f"Tieout:   {url}/tieout/    tie-outs, breaks, runs, writes, dead letters, credit, trace, mappings",
            soft_wrap=True,
        )
        self.console.print("Everything goes on running in the background; `make stop` ends it, data stay in .tieout/.")


def _console() -> Console:
    """As wide as the terminal; where there is none, wide enough for the summary."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=150)
