"""`webhooks__<link>`: looks into the inbox of webhooks, reads again what waits there, and starts quote-to-cash.

Two tasks. With an empty inbox the first one ends as skipped, before any vendor's connection is opened. The second waits
for the run that it starts (in the triggerer, without a worker): what comes meanwhile is the next look's, so that a
storm of notices makes one run after another, never a queue of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from tieout.model.settings import PROJECT
from tieout.orchestration.connections import get_connection, keep_secret
from tieout.orchestration.dag_kit import FIRST_DAY, LONGEST_RETRY_DELAY, RETRIES, cron_of, link_paragraph
from tieout.orchestration.links import LinkCard, link_cards
from tieout.orchestration.notices import FailureNotice
from tieout.orchestration.step import TRIGGERS, raise_verdict

NAME = "webhooks"
#: Reading what hints name; a run of quote-to-cash that was started by it; both together.
LONGEST_READ, LONGEST_RUN = timedelta(hours=2), timedelta(hours=24)
#: Seconds between two looks whether the run that was started has ended.
LOOK_SECONDS = 30


class ReadHooks(BaseOperator):  # type: ignore[misc]  # airflow is not followed by mypy here
    """Reads the link's inbox. Skipped where nothing waits, or nothing that waited was of use."""

    template_fields: Sequence[str] = ()
    ui_color = "#eef4fb"

    def __init__(self, *, link: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.link = link

    def execute(self, context: Any) -> Any:
        """The reading's numbers."""
        return self.go_on(context)

    def go_on(self, context: Any, event: Any = None, since: str | None = None) -> Any:
        """The same, also after a wait for a vendor's limit; see StepTask.go_on."""
        from tieout.scenarios import hooks_inbox
        from tieout.scenarios.services import open_services

        run = context["dag_run"]
        try:
            if not hooks_inbox.waiting(self.link):
                raise AirflowSkipException(f"no webhooks wait for link {self.link}")
            with open_services(self.link, connections=get_connection, on_secret=keep_secret) as services:
                trigger = TRIGGERS.get(str(getattr(run.run_type, "value", run.run_type)), "manual")
                numbers = hooks_inbox.read(services, trigger, (run.dag_id, run.run_id))
        except AirflowSkipException:
            raise
        except Exception as error:  # noqa: BLE001 - every error gets its verdict; none is swallowed
            raise_verdict(error, since)
        self.log.info("webhooks of link %s: %s", self.link, numbers)
        if not numbers.get("read"):
            raise AirflowSkipException(f"nothing that waited for link {self.link} names a record that was read")
        return numbers


def dags_for_links(card: str, folder: Path | None = None) -> Iterator[DAG]:
    """One DAG for each link file. Args as dag_kit.dags_for_links."""
    for link in link_cards(folder or PROJECT / "include" / "links"):
        yield dag_for_link(link, card)


def dag_for_link(link: LinkCard, card: str) -> DAG:
    """The DAG of one link; without a schedule where the link's file has none, or has a fault."""
    with DAG(
        dag_id=f"{NAME}__{link.name}",
        description=card.strip().splitlines()[0],
        doc_md=f"{card}\n{link_paragraph(link)}",
        schedule=cron_of(link, NAME),
        start_date=pendulum.datetime(*FIRST_DAY, tz=link.time_zone),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=LONGEST_READ + LONGEST_RUN,
        tags=["tieout", NAME, link.name],
        default_args={
            "owner": ", ".join(link.owners) or "tieout",
            "retries": RETRIES,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_RETRY_DELAY,
            "on_failure_callback": [FailureNotice(link=link.name, channels=link.notify)],
        },
    ) as dag:
        read = ReadHooks(
            task_id="read",
            link=link.name,
            doc_md="Reads again the records that waiting webhooks name, each once. Skipped when nothing waits.",
            execution_timeout=LONGEST_READ,
        )
        judge = TriggerDagRunOperator(
            task_id="quote_to_cash",
            trigger_dag_id=f"quote_to_cash__{link.name}",
            wait_for_completion=True,
            deferrable=True,
            poke_interval=LOOK_SECONDS,
            # How it ended is its own notice's to tell.
            allowed_states=["success", "failed"],
            failed_states=[],
            fail_when_dag_is_paused=True,
            doc_md="Starts quote-to-cash, which judges what was read, and waits until that run has ended.",
            execution_timeout=LONGEST_RUN,
        )
        read >> judge
    return dag
