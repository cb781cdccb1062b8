"""`tieout-sandbox`: starts the sandbox. Knows nothing of what is served."""

from __future__ import annotations

import json
import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from sandbox.app import create_app

GRACE = 5  # seconds for open requests when asked to stop
KEEP_ALIVE = 75  # seconds; longer than clients keep an idle connection, so only faults close one under their hands

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback()
def _commands() -> None:
    """A stand-in for Salesforce and Xero that keeps its state over restarts."""


@cli.command()
def serve(
    state: Annotated[Path, typer.Option(help="Directory of the state; made when it is not there.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
) -> None:
    """Serve until SIGTERM. The first line on standard output is {"url": ..., "pid": ...}."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        create_app(state),
        http="httptools" if find_spec("httptools") else "h11",
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    _Server(config, f"http://{host}:{listener.getsockname()[1]}").run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says where it is as soon as it listens."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        typer.echo(json.dumps({"url": self.url, "pid": os.getpid()}))


def main() -> None:
    """The entry point."""
    cli()
