"""Where the pages' facts come from: the store, the trace, the mapping files. The routes know nothing of SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Engine

from tieout.delivery import uncertain
from tieout.delivery.uncertain import Age
from tieout.model.calendar import Calendar
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link
from tieout.model.settings import Settings, load_settings
from tieout.model.tie_out import Head
from tieout.reconcile import people, reading
from tieout.reconcile.people import Break
from tieout.reconcile.rules import Rules
from tieout.scenarios.periods.calendar import of_link
from tieout.scenarios.products import listing
from tieout.scenarios.receivables import Owed
from tieout.scenarios.services import connections_of_links
from tieout.scenarios.trace import TraceStep, trace
from tieout.store import dead_letters, runs
from tieout.store.dead_letters import DeadLetter, Filter
from tieout.store.runs import Run
from tieout.store.tables import sync_run

#: Runs shown for each link, and links shown, on the first page.
RUNS_OF_A_LINK = 10
MOST_LINKS = 200

#: (crm system, ledger system) -> rows of texts, the first of them the headings.
Matrix = Callable[[str, str], Sequence[Sequence[str]]]


def _not_given(*_: Any) -> Any:
    raise ConfigurationFault("these pages were made without a source for this: see web/sources.py")


def _not_counted(connection: str, reason: str) -> None:
    """Where these pages are made without Airflow there are no metrics; the store counts all the same."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the pages ask for.

    Attributes:
        open_engine: the store's engine, made at the first request and kept by the caller.
        matrix: what `tieout mapping matrix` prints.
        docs_home: the folder that holds a folder of Data Docs for each run.
        settings: where links and mappings are.
        owed: link -> its receivables.
        link_rules: link -> the rules of its reconciliation, with its own thresholds.
        proposer: link, breaks, who, why, the record of the CRM where a person names it -> the number of the proposal
            that mends them; reads the ledger.
        answer: dag id, run id, agreed, who -> has the run of Airflow go on that waits for a decision on its plan.
        closer: link, label of a period, who -> the event that closed it; counts the period anew.
        connection: name -> the connection with its secrets; raises ConfigurationFault where there is none.
        refused: connection, reason -> counts a webhook that was not taken in the metrics.
    """

    open_engine: Callable[[], Engine]
    matrix: Matrix
    docs_home: Path
    page_size: int = 100
    settings: Callable[[], Settings] = load_settings
    owed: Callable[[str], Sequence[Owed]] = _not_given
    link_rules: Callable[[str], Rules] = _not_given
    proposer: Callable[[str, Sequence[int], str, str, str | None], int] = _not_given
    answer: Callable[[str, str, bool, str], None] = _not_given
    closer: Callable[[str, str, str], int] = _not_given
    connection: Callable[[str], Connection] = _not_given
    refused: Callable[[str, str], None] = _not_counted

    def link_names(self) -> list[str]:
        """Links that have run."""
        with self.open_engine().connect() as conn:
            query = sa.select(sync_run.c.link).distinct().order_by(sync_run.c.link).limit(MOST_LINKS)
            return list(conn.execute(query).scalars())

    def links_with_files(self) -> list[str]:
        """Links of include/links, whether they have run or not."""
        return sorted(file.stem for file in (self.settings().include / "links").glob("*.yaml"))

    def hook_connections(self) -> Mapping[str, str]:
        """Connection that a link names -> its system."""
        return connections_of_links(self.settings())

    def calendar(self, link: str) -> tuple[Link, Calendar]:
        """A link and its fiscal calendar, as their files say them now. Raises ConfigurationFault with file:line."""
        return of_link(self.settings(), link)

    def receivables(self, link: str) -> Sequence[Owed]:
        """What a link's customers owe."""
        return self.owed(link)

    def reasons(self, link: str) -> Mapping[str, str]:
        """What a person may give as the reason of a difference: code -> words."""
        return self.link_rules(link).reason_codes

    def tolerance(self, link: str) -> Callable[[Break], int]:
        """The greatest amount of a break of this link that a person may accept."""
        return people.tolerance(self.link_rules(link))

    def report_of_run(self, run_id: UUID) -> Head | None:
        """The reconciliation that a run made; None for a run of another kind."""
        with self.open_engine().connect() as conn:
            return reading.of_run(conn, run_id)

    def links(self) -> Mapping[str, Sequence[Run]]:
        """link -> its last runs, newest first."""
        names = self.link_names()
        with self.open_engine().connect() as conn:
            return {name: runs.latest(conn, name, limit=RUNS_OF_A_LINK) for name in names}

    def run(self, run_id: UUID) -> Run | None:
        """A sync run by its id."""
        with self.open_engine().connect() as conn:
            return runs.get(conn, run_id)

    def run_of_airflow(self, dag_id: str, run_id: str) -> UUID | None:
        """The id of the sync run that a run of Airflow opened."""
        query = (
            sa.select(sync_run.c.run_id)
            .where(sync_run.c.airflow_dag_id == dag_id, sync_run.c.airflow_run_id == run_id)
            .order_by(sync_run.c.started_at.desc())
            .limit(1)
        )
        with self.open_engine().connect() as conn:
            return conn.execute(query).scalar_one_or_none()

    def waiting_writes(self) -> tuple[Mapping[str, int], Sequence[Age]]:
        """State -> how many writes are uncertain, held or refused; and the oldest of each link, oldest first."""
        with self.open_engine().connect() as conn:
            counts: Counter[str] = Counter()
            for standing in uncertain.standings(conn):
                if standing.state in uncertain.ASKED:
                    counts[standing.state] += standing.count
            return counts, uncertain.ages(conn)

    def letters(self, which: Filter) -> Sequence[DeadLetter]:
        """Dead letters, at most a page."""
        with self.open_engine().connect() as conn:
            return dead_letters.listing(conn, replace(which, limit=self.page_size))

    def letter_counts(self) -> Mapping[tuple[str, str, str], int]:
        """(entity, stage, reason) -> open dead letters."""
        with self.open_engine().connect() as conn:
            return dead_letters.counts_by_reason(conn)

    def letter(self, number: int) -> DeadLetter | None:
        """One dead letter with the record as it came."""
        with self.open_engine().connect() as conn:
            return dead_letters.get(conn, number)

    def replay(self, numbers: Sequence[int], person: str) -> int:
        """Has the records judged again by the next run; audited under the person's name. How many were open."""
        with self.open_engine().begin() as conn:
            return dead_letters.replay(conn, numbers, person)

    def trace(self, key: str) -> Sequence[TraceStep]:
        """All that is known of the records that carry `key`, oldest first."""
        return trace(self.open_engine(), key)

    def product_links(self) -> Sequence[str]:
        """Links whose products were judged."""
        return listing.links(self.open_engine())

    def products(self, wanted: listing.Wanted) -> Sequence[listing.Shown]:
        """Items with their products, at most a page."""
        return listing.of_file(self.open_engine(), self.settings().include, wanted)

    def docs(self, run_id: UUID) -> Path:
        """The folder of a run's Data Docs, which may not exist."""
        return self.docs_home / str(run_id)
