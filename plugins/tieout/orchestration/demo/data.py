"""The demo's data and the days that pass in it; `python -m tieout.orchestration.demo.data seed|finance-day`.

What the data are is in tieout.scenarios (demo_*.py); here is only which connections they go to.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tieout.model.settings import load_settings
from tieout.orchestration.demo.places import Secrets
from tieout.scenarios.credentials import from_environment

CRM, LEDGER = "salesforce_demo", "xero_demo"


def connections(sandbox_url: str, _: Secrets) -> dict[str, dict[str, Any]]:
    """Airflow connections to the sandbox; its clients are the ones that it has when new."""
    return {
        CRM: {
            "conn_type": "tieout_salesforce",
            "description": "The sandbox's Salesforce",
            "host": f"{sandbox_url}/salesforce",
            "login": "sandbox-consumer",
            "password": "sandbox-secret",
            "extra": json.dumps({"auth": "client_credentials", "allowed_hosts": "127.0.0.1"}),
        },
        LEDGER: {
            "conn_type": "tieout_xero",
            "description": "The sandbox's Xero",
            "host": f"{sandbox_url}/xero",
            "login": "sandbox-client",
            "password": "sandbox-secret",
            "extra": json.dumps({"allowed_hosts": "127.0.0.1"}),
        },
    }


def main(what: str) -> int:
    """`seed` fills the CRM once; `finance-day` does what people in finance do between two runs."""
    from tieout.scenarios import demo_days, demo_seed

    settings = load_settings()
    crm, ledger = from_environment(CRM, settings), from_environment(LEDGER, settings)
    done = demo_seed.seed(crm) if what == "seed" else demo_days.finance_day(ledger, crm)
    sys.stdout.write(json.dumps(done, default=str) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
