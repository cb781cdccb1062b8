"""`airflow` with what every task of ours needs already imported: `python -m tieout.orchestration.warm scheduler ...`.

Workers and tasks are forks of this process (LocalExecutor's scheduler, Celery's worker): they find pandas and Great
Expectations in memory instead of importing them in every task, 2 to 5 seconds each. Only modules are shared: no
socket, thread or database session is opened here.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

#: What the steps of the scenarios import when they run.
MODULES = (
    "pandas",
    "pyarrow",
    "tieout.scenarios.credit_sync",
    "tieout.scenarios.reconciliation",
    "tieout.scenarios.product_sync",
    "tieout.scenarios.quote_to_cash",
    "tieout.scenarios.services",
    "great_expectations",
    "tieout.quality.gx",
)


def main(arguments: list[str]) -> int:
    """Imports MODULES, then is `airflow` with these arguments."""
    # Before the import: it would report usage to its makers, and tell of each of its classes.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in MODULES:
        importlib.import_module(name)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
