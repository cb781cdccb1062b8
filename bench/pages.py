"""The pages of finance over a store with 100,000 breaks: each request through the app, as a reader waits for it.

    python -m bench pages [--quick]

A PostgreSQL of its own; the breaks are made inside it and recorded as a reconciliation records them. The median of
several requests counts, the first one of each is left out: it fills PostgreSQL's cache and compiles the template.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.store import embedded, migrate
from tieout.store.engine import connect

BREAKS = 100_000
#: Milliseconds that a page may take on the server.
MOST_MS = 300
TIMES = 7

#: What is asked for -> its path.
PATHS: Mapping[str, str] = {
    "overview": "/",
    "tie-out page": "/tie-outs/big",
    "breaks, largest first": "/breaks",
    "breaks, oldest first": "/breaks?sort=oldest",
    "breaks, by customer": "/breaks?sort=customer",
    "breaks, by owner": "/breaks?sort=owner",
    "breaks, by class": "/breaks?sort=class",
    "breaks, by due date": "/breaks?sort=due",
    "breaks, one class and currency": "/breaks?class=duplicate&currency=EUR&area=invoices",
    "breaks, older than 90 days, over 500": "/breaks?age=over+90&over=500",
    "breaks, new ones": "/breaks?new=1",
    "breaks of an owner": "/breaks?owner=owner+6",
    "breaks of nobody, above tolerance": "/breaks?owner=-&tolerance=above",
    "search by customer's name": "/breaks?text=Customer+1234+of",
    "search by document number": "/breaks?text=INV-77777",
    "search by nothing that is there": "/breaks?text=Zwischenahn",
    "all states": "/breaks?state=",
    "one break": "/breaks/5000",
    "breaks by age": "/breaks/ages",
    "cleared breaks": "/breaks?state=cleared",
    "matches": "/matches",
    "health": "/health",
}


def run(quick: bool = False) -> Sequence[Row]:
    """Measures and gives the rows of the table."""
    count = BREAKS // 10 if quick else BREAKS
    with pages(count) as client:
        found = {what: _median(client, path) for what, path in PATHS.items()}
        found["breaks, page 20"] = _far(client, 20)
    return [
        Row(
            f"{what} ({count:,} breaks)",
            f"{taken:.0f} ms",
            f"{MOST_MS} ms",
            taken / MOST_MS,
            "at most 300 ms",
            most=1.0,
        )
        for what, taken in found.items()
    ]


@contextmanager
def pages(count: int) -> Iterator[TestClient]:
    """The pages, over a store with so many breaks."""
    from tests.support.reconciliation import many
    from tieout.model.settings import PROJECT
    from tieout.reconcile.rules import load_rules
    from tieout.web.app import Visitor, create_app
    from tieout.web.sources import Sources

    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    try:
        server = embedded.start(home)
        engine = _store(server.url_for("postgres"), server)
        many(engine, count)
        sources = Sources(
            open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=home,
            link_rules=lambda link: load_rules(PROJECT / "include"),
        )  # fmt: skip
        clara = Visitor("clara", True, frozenset({"breaks", "decide", "prepare", "review"}))
        yield TestClient(create_app(lambda door: lambda: clara, sources, b"bench", lambda asked: "/login"))
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def _store(admin_url: str, server: embedded.EmbeddedServer) -> Engine:
    embedded.create_database(admin_url, "pages")
    engine = connect(server.url_for("pages"))
    migrate.upgrade(engine)
    return engine


def _median(client: TestClient, path: str) -> float:
    taken = [_ask(client, path) for _ in range(TIMES + 1)]
    return statistics.median(taken[1:])


def _ask(client: TestClient, path: str) -> float:
    start = time.perf_counter()
    answer = client.get(path)
    taken = (time.perf_counter() - start) * 1000
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return taken


def _far(client: TestClient, page: int) -> float:
    """The median of the pages up to this one, each reached by the link on the one before."""
    import re
    from html import unescape

    path, taken = "/breaks", []
    for _ in range(page):
        start = time.perf_counter()
        text = client.get(path).text
        taken.append((time.perf_counter() - start) * 1000)
        link = re.search(r'href="(/breaks\?[^"]+)" rel="next"', text)
        assert link is not None, f"{path} leads no further"
        path = unescape(link.group(1))
    return statistics.median(taken[1:])
