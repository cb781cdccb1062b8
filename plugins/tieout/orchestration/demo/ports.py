"""The TCP ports of one demo, chosen so that two demos that start at the same time never choose the same one.

Between the choice and the moment at which a program listens, a port is kept by a lock on a file of the machine: a bound
socket would keep the program itself from it. The locks end with the process that took them, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tieout.model.errors import ConfigurationFault
from tieout.orchestration.demo.places import Places, read_json, write_private

#: Tried first, so that the address in the browser stays the same.
PREFERRED_PORTS = {"api": 8080, "sandbox": 8090}
#: Ports that the kernel is asked for before giving up.
MOST_TRIES = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1."""

    api: int
    sandbox: int


@contextmanager
def kept_ports(places: Places) -> Iterator[Ports]:
    """The ports of the last time where they are free, else the preferred ones, else any.

    No other demo of this machine takes them while the block runs; by its end the programs listen on them.

    Raises:
        ConfigurationFault: no port is free.
    """
    known = read_json(places.home / "ports.json")
    with ExitStack() as locks:
        chosen: dict[str, int] = {}
        for name, preferred in PREFERRED_PORTS.items():
            wishes = [port for port in (known.get(name), preferred) if port and port not in chosen.values()]
            chosen[name] = _first_kept(locks, wishes)
        write_private(places.home / "ports.json", chosen)
        yield Ports(**chosen)


def _first_kept(locks: ExitStack, wishes: Iterable[int]) -> int:
    """The first of the wishes, else any port, that is free and not kept by another demo."""
    for port in wishes:
        if _keep(locks, port):
            return port
    for _ in range(MOST_TRIES):
        port = _any_port()
        if _keep(locks, port):
            return port
    raise ConfigurationFault(f"no free port on 127.0.0.1 after {MOST_TRIES} tries: end what is listening there")


def _keep(locks: ExitStack, port: int) -> bool:
    """Locks the port's file, then looks whether the port is free: in this order nobody comes between."""
    path = Path(tempfile.gettempdir()) / f"tieout-port-{port}.lock"
    handle = _locked(path)
    if handle is None:
        return False
    if _is_free(port):
        locks.callback(_give_back, path, handle)
        return True
    _give_back(path, handle)
    return False


def _locked(path: Path) -> int | None:
    """The file's handle under our lock; None where another demo has it."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644))
    try:
        # For reading, which is enough for a lock: another user's file serves as well.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None  # given back just now: its demo listens on the port
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.lstat()):
            return handle
    except (BlockingIOError, FileNotFoundError):  # another demo's, or given back just now
        pass
    os.close(handle)
    return None


def _give_back(path: Path, handle: int) -> None:
    # Removed while it is locked: whoever has it open sees by its identity that it is not the port's file any more.
    with suppress(PermissionError):
        path.unlink(missing_ok=True)
    os.close(handle)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
