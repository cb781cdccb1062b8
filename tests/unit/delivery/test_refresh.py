"""A refresh token that rotates: one writer, kept before it is used, sealed, and what a kill between the two leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.engine import Engine

from tests.support.delivery import rows
from tieout.connectors.oauth import TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.registry import connect
from tieout.delivery.refresh import StoredRefresh
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, Retriable
from tieout.store.engine import connect as connect_store

BOOKS = Connection(
    "books", "quickbooks", "http://127.0.0.1:1", "app", "client-secret", {"realm_id": "1", "refresh_token": "first"}
)
ROW = "select sealed, before, generation from tieout.refresh_token"


def keep(shelf: StoredRefresh, token: str, first: str = "first") -> None:
    with shelf.exclusive():
        shelf.current(first)
        shelf.keep(token)


def current(shelf: StoredRefresh, first: str = "first") -> list[str]:
    with shelf.exclusive():
        return list(shelf.current(first))


def test_the_newest_and_the_one_before_are_there_for_every_process(engine: Engine, database_url: str) -> None:
    shelf = StoredRefresh(engine, BOOKS)
    assert current(shelf) == ["first"]
    for token in ("second", "third", "fourth"):
        keep(shelf, token)
    other = connect_store(database_url)
    # Airflow's Test button makes up a name for the connection: the token is the app's at the company.
    assert current(StoredRefresh(other, replace(BOOKS, name="x7Gk"))) == ["fourth", "third"]
    assert current(StoredRefresh(other, replace(BOOKS, extra={"realm_id": "2"}))) == ["first"]
    other.dispose()


def test_nothing_is_plain_in_the_table_and_only_its_key_opens_it(engine: Engine) -> None:
    key = Fernet.generate_key().decode()
    keep(StoredRefresh(engine, BOOKS, [key]), "a-very-secret-token")
    keep(StoredRefresh(engine, BOOKS, [key]), "another-secret-token")
    [row] = rows(engine, "select * from tieout.refresh_token")
    assert not any(word in str(row) for word in ("secret-token", "first", "client-secret"))
    assert current(StoredRefresh(engine, BOOKS, [Fernet.generate_key().decode(), key]))[0] == "another-secret-token"
    with pytest.raises(ConfigurationFault, match=r"sealed with another key; set AIRFLOW__CORE__FERNET_KEY"):
        current(StoredRefresh(engine, BOOKS))
    assert current(StoredRefresh(engine, BOOKS), "anew") == ["anew"], "who has joined the app again needs no old key"
    with pytest.raises(ConfigurationFault, match="no Fernet key"):
        StoredRefresh(engine, BOOKS, ["short"])


def test_without_airflows_key_the_client_secret_seals_and_still_opens_once_there_is_one(engine: Engine) -> None:
    keep(StoredRefresh(engine, BOOKS), "second")
    assert current(StoredRefresh(engine, BOOKS, [Fernet.generate_key().decode()])) == ["second"]
    with pytest.raises(ConfigurationFault, match="sealed with another key"):
        current(StoredRefresh(engine, replace(BOOKS, password="changed")))


def test_a_token_that_somebody_entered_anew_comes_first(engine: Engine) -> None:
    keep(StoredRefresh(engine, BOOKS), "second")
    assert current(StoredRefresh(engine, BOOKS), "joined-again") == ["joined-again", "second"]
    keep(StoredRefresh(engine, BOOKS), "third", first="joined-again")
    assert current(StoredRefresh(engine, BOOKS), "joined-again") == ["third", "second"]


def test_one_writer_at_a_time_and_a_late_one_keeps_nothing(engine: Engine, database_url: str) -> None:
    inside, most = 0, 0

    def work(number: int) -> None:
        nonlocal inside, most
        shelf = StoredRefresh(other, BOOKS)
        with shelf.exclusive():
            inside += 1
            most = max(most, inside)
            shelf.current("first")
            time.sleep(0.01)
            shelf.keep(f"token-{number}")
            inside -= 1

    other = connect_store(database_url)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    other.dispose()
    assert most == 1 and rows(engine, ROW)[0]["generation"] == 8
    late = StoredRefresh(engine, BOOKS)
    late.current("first")  # its session died, and with it the lock; somebody else went on
    keep(StoredRefresh(engine, BOOKS), "newer")
    with pytest.raises(Retriable, match="another process kept"):
        late.keep("older")
    assert current(StoredRefresh(engine, BOOKS))[0] == "newer"


class Intuit:
    """A token endpoint over real HTTP whose refresh tokens rotate at each use; `grace`: the one before stays good.
    Also answers companyinfo, so that a connector has something to ask."""

    def __init__(self) -> None:
        self.good, self.grace, self.uses, self.hold = ["first"], 0, 0, False
        self.held = threading.Event()
        self.go_on = threading.Event()
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                with lock:
                    is_good = form["refresh_token"][0] in outer.good[: outer.grace + 1]
                    if is_good:
                        outer.uses += 1
                        outer.good.insert(0, f"refresh-{outer.uses}")
                    body = f'{{"access_token":"t{outer.uses}","refresh_token":"{outer.good[0]}","expires_in":3600}}'
                if is_good and outer.hold:
                    outer.held.set()
                    outer.go_on.wait(30)
                self._say(200 if is_good else 400, body if is_good else '{"error":"invalid_grant"}')

            def do_GET(self) -> None:
                self._say(200, '{"QueryResponse":{}}')

            def _say(self, status: int, body: str) -> None:
                try:
                    self.send_response(status)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())
                except OSError:
                    self.close_connection = True  # who asked was killed

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.connection = replace(BOOKS, host=f"http://127.0.0.1:{self.server.server_port}")


@pytest.fixture
def intuit() -> Iterator[Intuit]:
    made = Intuit()
    yield made
    made.go_on.set()
    made.server.shutdown()
    made.server.server_close()


def ask(engine: Engine, connection: Connection) -> None:
    """One sign-in, one call."""
    connector = connect(connection, Outside(shelf=TokenShelf(refresh=StoredRefresh(engine, connection))))
    try:
        connector._session.query("SELECT * FROM Item", "Item")  # type: ignore[attr-defined]
    finally:
        connector.close()


def test_connectors_of_many_processes_at_once_all_get_in(engine: Engine, database_url: str, intuit: Intuit) -> None:
    engines = [connect_store(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: [ask(each, intuit.connection) for _ in range(3)], engines))
    for each in engines:
        each.dispose()
    assert intuit.uses == 12
    assert current(StoredRefresh(engine, intuit.connection)) == ["refresh-12", "refresh-11"]


KILLED = """
import sys
from tests.unit.delivery.test_refresh import BOOKS, ask
from dataclasses import replace
from tieout.store.engine import connect
ask(connect(sys.argv[1]), replace(BOOKS, host=sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("grace", [1, 0], ids=["the old one is still good", "the old one is gone"])
def test_a_kill_between_the_use_and_the_keeping(engine: Engine, database_url: str, intuit: Intuit, grace: int) -> None:
    ask(engine, intuit.connection)
    intuit.grace, intuit.hold = grace, True
    root = Path(__file__).resolve().parents[3]
    environment = dict(os.environ, PYTHONPATH=f"{root / 'plugins'}{os.pathsep}{root}")
    process = subprocess.Popen([sys.executable, "-c", KILLED, database_url, intuit.connection.host], env=environment)
    try:
        assert intuit.held.wait(60), "it never asked for a token"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    intuit.hold = False
    intuit.go_on.set()
    assert intuit.uses == 2 and current(StoredRefresh(engine, intuit.connection)) == ["refresh-1"]
    if grace:
        ask(engine, intuit.connection)
        assert current(StoredRefresh(engine, intuit.connection)) == ["refresh-3", "refresh-1"]
    else:
        with pytest.raises(AuthenticationFailed, match=r"administrator .* join the app again .* 'books'"):
            ask(engine, intuit.connection)
        again = replace(intuit.connection, extra={**intuit.connection.extra, "refresh_token": intuit.good[0]})
        ask(engine, again)


def test_a_store_that_is_away_for_a_moment_loses_no_token(engine: Engine, database_url: str) -> None:
    pauses: list[float] = []

    def come_back(seconds: float) -> None:
        pauses.append(seconds)
        shelf._engine = engine  # the store is back

    gone = connect_store("postgresql+psycopg://nobody@127.0.0.1:1/none")
    shelf = StoredRefresh(engine, BOOKS, pause=come_back)
    with shelf.exclusive():
        shelf.current("first")
        shelf._engine = gone
        shelf.keep("second")
    assert pauses == [0.5] and current(shelf) == ["second"]
    gone.dispose()
