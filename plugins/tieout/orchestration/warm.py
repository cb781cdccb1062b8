"""`airflow` with what every task of ours needs already imported: `python -m tieout.orchestration.warm scheduler ...`.

Workers and tasks are forks of this process (LocalExecutor's scheduler, Celery's worker): they find pandas and Great
Expectations in memory instead of importing them in every task, 2 to 5 seconds each; and the mappings of the links, read
and checked, which took a task more time than its work. No socket, thread or database session is opened here.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings, load_settings

log = logging.getLogger(__name__)

#: What the steps of the scenarios import when they run.
MODULES = (
    "pandas",
    "pyarrow",
    "tieout.scenarios.credit_sync",
    "tieout.scenarios.fiscal_period",
    "tieout.scenarios.hooks_inbox",
    "tieout.scenarios.product_sync",
    "tieout.scenarios.quote_to_cash",
    "tieout.scenarios.reconciliation",
    "tieout.scenarios.returns",
    "tieout.scenarios.services",
    "tieout.orchestration.metrics",
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
    try:
        read_links(load_settings())
    except ConfigurationFault as fault:
        # The tasks say it, each for itself; what needs no settings goes on.
        log.error("nothing is read before tasks start: %s", fault)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()
    return 0


def read_links(settings: Settings) -> None:
    """The connectors of all links are imported and their mappings read; a file that changes later is read again.

    What is wrong with a file is told here and kept from nobody: the tasks of its link fail with the same words.
    """
    from tieout.connectors import registry
    from tieout.connectors.http import tls
    from tieout.mapping.load import load_system
    from tieout.scenarios.services import connections_of_links

    for trusts_environment in (False, True):
        tls(trusts_environment)
    for system in sorted(set(connections_of_links(settings).values())):
        try:
            registry.system(system)
            load_system(settings.include / "mappings", system)
        except ConfigurationFault as fault:
            log.error("%s is not read before its tasks: %s", system, fault)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
