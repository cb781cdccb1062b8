"""A program that does one step of a scenario for a company of the proofs, so that a test can kill it.

`python -m tests.proofs.steps DATABASE_URL SANDBOX_URL LINK_FILE RUN_ID STEP [SCENARIO]`
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tests.proofs.company import QUICK
from tests.proofs.pairs import CRMS, LEDGERS
from tests.scenarios.world import SCENARIOS, services_of
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.store.engine import connect


def main(
    database_url: str, sandbox_url: str, link_file: str, run_id: str, step: str, scenario: str = "quote_to_cash"
) -> None:
    """Does the step."""
    link = load_link(Path(link_file))
    at = cast(SandboxProcess, SimpleNamespace(url=sandbox_url))
    crm, ledger = (
        replace(one, extra={**one.extra, **QUICK})
        for one in (
            CRMS[link.crm_system].connection(at, link.crm), LEDGERS[link.ledger_system].connection(at, link.ledger)
        )
    )  # fmt: skip
    module = SCENARIOS[scenario]
    module.PATIENCE_SECONDS = 0.0
    engine = connect(database_url)
    with services_of(link, crm, ledger, engine) as services:
        getattr(module, step)(services, run_id)
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
