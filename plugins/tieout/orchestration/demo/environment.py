"""The environment of every process of a demo: one dict, made from places, ports and secrets. Starts nothing.

docker-compose.yaml sets the same Airflow options for a deployment; tests/unit/deploy compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tieout.orchestration.demo.places import Places, Secrets
from tieout.orchestration.demo.ports import Ports

#: Options that do not depend on the machine; the compose file has each of them, too.
AIRFLOW_OPTIONS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__FAB__ENABLE_PROXY_FIX": "False",
    "GX_ANALYTICS_ENABLED": "false",
}

#: A demo is watched: seconds matter more than the database's load.
_IMPATIENT = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
}


def environment(
    places: Places, ports: Ports, secrets: Secrets, store_url: str, airflow_url: str, mark: str
) -> dict[str, str]:
    """All variables, this process's own included.

    Args:
        store_url: of Tieout's database.
        airflow_url: of Airflow's metadata database.
        mark: a value of TIEOUT_DEMO by which the demo's processes are known.
    """
    address = f"http://127.0.0.1:{ports.api}"
    return {
        **_inherited(os.environ),
        **AIRFLOW_OPTIONS,
        **_IMPATIENT,
        "TIEOUT_DEMO": mark,
        "TIEOUT_PROJECT": str(places.project),
        "TIEOUT_HOME": str(places.home),
        "TIEOUT_DATABASE_URL": store_url,
        "TIEOUT_SCHEDULES": "off",
        "PYTHONPATH": os.pathsep.join((str(places.project / "plugins"), str(places.project))),
        "PYTHONUNBUFFERED": "1",
        "AIRFLOW_HOME": str(places.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(places.project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(places.project / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_url,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(places.logs / "airflow"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports.api),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.api_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt_secret,
    }


def _inherited(own: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without another Airflow's options, which would mix two systems."""
    unwanted = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "AIRFLOW_HOME", "AIRFLOW_CONFIG")
    # Byte code that is missing is written once instead of being compiled by each of five processes.
    return {key: value for key, value in own.items() if not key.startswith(unwanted) and key != _NO_BYTE_CODE}


_NO_BYTE_CODE = "PYTHONDONTWRITEBYTECODE"
