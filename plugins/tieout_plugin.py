"""All that Airflow loads of Tieout: its pages under /tieout, the menu entry, the link on a run of a DAG.

The package below plugins/tieout/ is imported, never executed file by file (plugins/.airflowignore).
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from tieout.orchestration.pages import app

MOUNT = "/tieout"


class TieoutPlugin(AirflowPlugin):
    """Registered by Airflow when it finds this file."""

    name = "tieout"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": app(), "url_prefix": MOUNT, "name": "Tieout"}]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {"name": "Tieout", "href": f"{MOUNT}/", "destination": "nav", "nav_top_level": True, "url_route": "tieout"},
        {
            "name": "Tieout",
            "href": f"{MOUNT}/airflow-run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "tieout-run",
        },
    ]
