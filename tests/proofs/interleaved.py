"""A program that goes on with one kind of run for a company of the proofs, beside others that do the other kinds.

`python -m tests.proofs.interleaved DATABASE_URL SANDBOX_URL LINK_FILE KIND ROUNDS`, KIND: period, hourly or hooks.
Says when it is ready, begins when a line comes on standard input, so that all begin at once, and tells each round.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.proofs.company import QUICK
from tests.scenarios.world import services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.errors import Retriable
from tieout.model.link import Periods
from tieout.scenarios import fiscal_period, hooks_inbox, quote_to_cash
from tieout.scenarios.services import Services
from tieout.store.engine import connect

PERIOD = "FY2026-P03"


def _hooks(services: Services) -> Mapping[str, Any]:
    """As the DAG webhooks does it: what was read is judged at once."""
    numbers = hooks_inbox.read(services, "webhook")
    if numbers.get("read"):
        quote_to_cash.run(services, "webhook")
    return numbers


KINDS: Mapping[str, Callable[[Services], Mapping[str, Any]]] = {
    "period": lambda services: fiscal_period.run(services, PERIOD),
    "hourly": quote_to_cash.run,
    "hooks": _hooks,
}


def main(database_url: str, sandbox_url: str, link_file: str, kind: str, rounds: str) -> None:
    """Does the rounds; what a later try mends is told and tried in the next round."""
    link = load_link(Path(link_file)).model_copy(update={"periods": Periods(approval="never")})
    at = cast(SandboxProcess, SimpleNamespace(url=sandbox_url))
    crm, ledger = (
        replace(one, extra={**one.extra, **QUICK})
        for one in (crm_connection(at, link.crm), ledger_connection(at, link.ledger))
    )
    quote_to_cash.PATIENCE_SECONDS = 0.0
    engine = connect(database_url)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(rounds)):
        with services_of(link, crm, ledger, engine) as services:
            try:
                numbers = KINDS[kind](services)
            except Retriable as error:
                print(f"{kind}: {type(error).__name__}: {error}", flush=True)
                continue
        shown = {name: value for name, value in numbers.items() if isinstance(value, int | float)}
        print(f"{kind}: {shown}", flush=True)
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
