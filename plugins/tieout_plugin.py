"""All that Airflow loads of Tieout: its pages under /tieout, menu entry, link on a run of a DAG, fiscal timetable.

Joins the pages to Airflow: who may see them (the auth manager), the secret of their forms, the log-in page. Every
Airflow process reads this file, workers and scheduler too: the web framework and the store are imported when the API
server is first asked for a page. The package below plugins/tieout/ is imported, never executed file by file
(plugins/.airflowignore).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from tieout.orchestration.fiscal_timetable import FiscalPeriodTimetable
from tieout.orchestration.portless_test import PortlessTest
from tieout.orchestration.roles import RESOURCE, RIGHTS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

    from tieout.model.connection import Connection
    from tieout.reconcile.rules import Rules
    from tieout.scenarios.receivables import Owed
    from tieout.web.app import Visitor


MOUNT = "/tieout"


class Pages:
    """The ASGI app that Airflow mounts and calls for each request; the real one is made at the first."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await pages()(scope, receive, send)


@functools.cache
def pages() -> FastAPI:
    """The pages on this Airflow's auth manager and this machine's settings."""
    from airflow.configuration import conf

    from tieout.model.settings import load_settings
    from tieout.web.app import create_app
    from tieout.web.sources import Sources

    settings = load_settings()
    sources = Sources(
        open_engine=_engine, matrix=_matrix, docs_home=settings.home / "datadocs", owed=_owed, link_rules=_rules,
        proposer=_propose, answer=_answer, closer=_close, connection=_connection, refused=_refused,
    )  # fmt: skip
    secret = conf.get_mandatory_value("api", "secret_key").encode()
    return create_app(authorize, sources, secret, _login_page)


def authorize(door: str) -> Callable[..., Visitor]:
    """A FastAPI dependency: the visitor, or 401 for nobody, 403 for somebody without the right.

    `door` is GET or PUT on the pages themselves, or a right that has a resource of its own (roles.py).
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, HTTPException

    from tieout.web.app import Visitor

    method, resource = ("PUT", RIGHTS[door]) if door in RIGHTS else (door, RESOURCE)

    def visitor(user: Any = Depends(get_user)) -> Visitor:
        manager = get_auth_manager()

        def may(what: str, of: str) -> bool:
            return bool(manager.is_authorized_custom_view(method=what, resource_name=of, user=user))

        if not (may("GET", RESOURCE) and may(method, resource)):
            raise HTTPException(403, f"Your role does not allow this: it needs {method} on the resource {resource}.")
        rights = frozenset(right for right, of in RIGHTS.items() if may("PUT", of))
        return Visitor(name=str(user.get_name()), may_edit=may("PUT", RESOURCE), rights=rights)

    return visitor


@functools.cache
def _engine() -> Engine:
    from tieout.model.settings import load_settings
    from tieout.store.engine import connect

    return connect(load_settings().require_database_url(), application_name="tieout-pages", pool_size=3)


def _matrix(crm: str, ledger: str) -> Sequence[Sequence[str]]:
    from dataclasses import astuple, fields

    from tieout.mapping.load import load_system
    from tieout.mapping.matrix import Row, matrix
    from tieout.model.settings import load_settings
    from tieout.scenarios.correspondences import STEPS

    folder = load_settings().include / "mappings"
    rows = matrix(load_system(folder, crm), load_system(folder, ledger), STEPS)
    rows.sort(key=lambda row: row.direction != "to_finance")
    return [[field.name.replace("_", " ") for field in fields(Row)], *(astuple(row) for row in rows)]


def _owed(link: str) -> Sequence[Owed]:
    from datetime import UTC, datetime

    from tieout.model.settings import load_settings
    from tieout.scenarios.receivables import read

    return read(_engine(), load_settings(), link, datetime.now(UTC).date())


def _rules(link: str) -> Rules:
    from tieout.model.settings import load_settings
    from tieout.reconcile.rules import load_rules
    from tieout.scenarios.services import find_link

    settings = load_settings()
    return load_rules(settings.include).for_link(find_link(settings, link))


def _propose(link: str, breaks: Sequence[int], who: str, why: str, record: str | None) -> int:
    from tieout.orchestration.connections import get_connection, keep_secret
    from tieout.scenarios import fixes
    from tieout.scenarios.services import open_services

    with open_services(link, connections=get_connection, on_secret=keep_secret, actor=who) as services:
        return fixes.propose(services, breaks, by=who, reason=why, record=record).proposal_id


def _answer(dag_id: str, run_id: str, agreed: bool, who: str) -> None:
    from tieout.orchestration.approval import answer

    answer(dag_id, run_id, agreed, who)


def _close(link: str, label: str, who: str) -> int:
    from tieout.orchestration.connections import get_connection, keep_secret
    from tieout.scenarios.periods import closing
    from tieout.scenarios.services import open_services

    with open_services(link, connections=get_connection, on_secret=keep_secret, actor=who) as services:
        return closing.close(services, label, who)


def _connection(name: str) -> Connection:
    from tieout.connectors.hooks import vendors
    from tieout.orchestration.connections import get_connection, keep_secret

    found = get_connection(name)
    for key in vendors.keys(found):
        keep_secret(key)
    return found


def _refused(connection: str, reason: str) -> None:
    from tieout.orchestration.metrics import hook_refused

    hook_refused(connection, reason)


def _login_page(asked: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager

    return str(get_auth_manager().get_url_login(next_url=asked))


class TieoutPlugin(AirflowPlugin):
    """Registered by Airflow when it finds this file."""

    name = "tieout"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": Pages(), "url_prefix": MOUNT, "name": "Tieout"}]
    fastapi_root_middlewares: ClassVar[list[dict[str, Any]]] = [
        {"middleware": PortlessTest, "args": [], "kwargs": {}, "name": "Tieout: Test button without a port"}
    ]
    timetables: ClassVar[list[type]] = [FiscalPeriodTimetable]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {"name": "Tieout", "href": f"{MOUNT}/", "destination": "nav", "nav_top_level": True, "url_route": "tieout"},
        {
            "name": "Tieout",
            "href": f"{MOUNT}/airflow-run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "tieout-run",
        },
    ]
