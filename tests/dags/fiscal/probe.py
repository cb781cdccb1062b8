"""DAGs that do nothing, by fiscal periods: with and without catch-up, one for backfills and people only, and one that
says what it was started for.
"""

import json
import os
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from tieout.model.calendar import parse
from tieout.orchestration.fiscal_timetable import FiscalPeriodTimetable

ZONE = "Europe/London"
SHORT = parse("short", {"kind": "custom", "years": {2025: [
    {"first": "2025-06-01", "last": "2025-06-28"}, {"first": "2025-06-29", "last": "2025-08-02"},
    {"first": "2025-08-03", "last": "2025-12-31", "label": "REST"}]}})  # fmt: skip
MONTHS = parse("months", {"kind": "months"})

for dag_id, calendar, catchup in (
    ("all_of_them", SHORT, True),
    ("the_last", MONTHS, False),
    ("backfilled", MONTHS, False),
):
    with DAG(
        dag_id,
        schedule=FiscalPeriodTimetable(calendar, ZONE, by_itself=dag_id != "backfilled"),
        start_date=pendulum.datetime(2020, 1, 1, tz=ZONE),
        catchup=catchup,
        is_paused_upon_creation=False,
    ) as made:
        EmptyOperator(task_id="nothing")
    globals()[dag_id] = made

with DAG(
    "told",
    schedule=FiscalPeriodTimetable(MONTHS, ZONE),
    start_date=pendulum.datetime(2020, 1, 1, tz=ZONE),
    is_paused_upon_creation=True,
) as told:

    @task
    def say(data_interval_start=None, data_interval_end=None):
        text = json.dumps([data_interval_start.isoformat(), data_interval_end.isoformat()])
        Path(os.environ["FISCAL_PROBE_FILE"]).write_text(text)

    say()
