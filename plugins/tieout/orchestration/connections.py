"""An Airflow connection as the model's Connection, and the masking of secrets that come later than the connection.

Nothing here speaks to a vendor.
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

from tieout.connectors.systems import connection_types
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault

#: Airflow's connection type -> the connector that speaks to it.
SYSTEMS = connection_types()


class AirflowConnection(Protocol):
    """What is read of airflow.sdk.Connection (and of the model that the API server has)."""

    conn_id: str
    conn_type: str | None
    host: str | None
    login: str | None
    password: str | None
    port: int | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


def get_connection(name: str) -> Connection:
    """The connection `name` from wherever this Airflow keeps its connections.

    Raises:
        ConfigurationFault: there is none of that name, or it is of another type.
    """
    from airflow.sdk import Connection as Stored
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        stored = Stored.get(name)
    except AirflowNotFoundException:
        raise ConfigurationFault(
            f"Airflow has no connection {name!r}; add it under Admin > Connections "
            f"with the type {' or '.join(sorted(SYSTEMS))}"
        ) from None
    return translate(stored)


def translate(stored: AirflowConnection) -> Connection:
    """The same connection in the model's words; empty form fields are left out.

    Raises:
        ConfigurationFault: the type is none of ours, or the address is no http(s) URL.
    """
    system = SYSTEMS.get(stored.conn_type or "")
    if system is None:
        raise ConfigurationFault(
            f"connection {stored.conn_id!r} is of type {stored.conn_type!r}; expected {' or '.join(sorted(SYSTEMS))}"
        )
    return Connection(
        name=stored.conn_id,
        system=system,
        host=_base_url(stored),
        login=stored.login or "",
        password=stored.password or "",
        extra={key: value for key, value in stored.extra_dejson.items() if value not in (None, "", [])},
    )


def keep_secret(token: str) -> None:
    """Has Airflow replace `token` by *** in everything that it logs from now on."""
    from airflow.sdk.log import mask_secret

    mask_secret(token)


def _base_url(stored: AirflowConnection) -> str:
    host = stored.host or ""
    url = host if "://" in host else f"https://{host}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationFault(f"connection {stored.conn_id!r}: expected a URL such as https://host, found {host!r}")
    if stored.port and port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{stored.port}")
    return parts.geturl().rstrip("/")
