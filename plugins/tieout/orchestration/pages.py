"""Joins the pages to Airflow: who may see them (the auth manager), the session secret, the log-in page.

The plugin file is read by every Airflow process, workers and scheduler too: the web framework and the store are
imported when the API server first asks for a page.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tieout.orchestration.roles import RESOURCE

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

    from tieout.web.app import Visitor


def app() -> Any:
    """The ASGI app that Airflow mounts: the pages, made at the first request."""
    return _MadeAtFirstRequest()


class _MadeAtFirstRequest:
    """Airflow hands this object to `mount`, which calls it for each request."""

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
    sources = Sources(open_engine=_engine, matrix=_matrix, docs_home=settings.home / "datadocs")
    secret = conf.get_mandatory_value("api", "secret_key").encode()
    return create_app(authorize, sources, secret, _login_page)


def authorize(method: str) -> Callable[..., Visitor]:
    """A FastAPI dependency: the visitor, or 401 for nobody, 403 for somebody without the right."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, HTTPException

    from tieout.web.app import Visitor

    def visitor(user: Any = Depends(get_user)) -> Visitor:
        manager = get_auth_manager()

        def may(what: str) -> bool:
            return bool(manager.is_authorized_custom_view(method=what, resource_name=RESOURCE, user=user))

        if not may(method):
            raise HTTPException(403, f"Your role does not allow this: it needs {method} on the resource {RESOURCE}.")
        return Visitor(name=str(user.get_name()), may_edit=may("PUT"))

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

    folder = load_settings().include / "mappings"
    rows = matrix(load_system(folder, crm), load_system(folder, ledger))
    return [[field.name.replace("_", " ") for field in fields(Row)], *(astuple(row) for row in rows)]


def _login_page(asked: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager

    return str(get_auth_manager().get_url_login(next_url=asked))
