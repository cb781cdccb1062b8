"""A health check for containers: `python -m tieout.orchestration.probe URL [COMPONENT]`; exit code 0 when all is well.

Without a component the URL has to answer 200; with one, Airflow's health report there must call it healthy.

The image has no curl, and Python is there anyway.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

TIME_OUT = 8.0  # seconds


def main(url: str, component: str | None = None) -> int:
    """Asks once; http on this machine only needs no proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIME_OUT) as answer:
            if component is None:
                return 0 if answer.status == 200 else 1
            return 0 if json.load(answer)[component]["status"] == "healthy" else 1
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
