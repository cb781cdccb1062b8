"""One run of quote-to-cash in a process of its own, step by step; prints what it took as one JSON object.

TIEOUT_HOME=... python -m bench.quote_to_cash_run [--profile FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

STARTED = time.perf_counter()


def main() -> None:
    """Opens the link `demo`, runs all steps, prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profile")
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.INFO)
    from tieout.scenarios import quote_to_cash
    from tieout.scenarios.services import open_services

    steps: dict[str, dict[str, object]] = {}
    with _profile(given.profile), open_services("demo") as services:
        run_id = quote_to_cash.start(services)
        steps["import and start"] = {"seconds": time.perf_counter() - STARTED, "cpu": time.process_time()}
        for name in quote_to_cash.STEPS:
            wall, cpu = time.perf_counter(), time.process_time()
            numbers = getattr(quote_to_cash, name)(services, run_id)
            steps[name] = {
                "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "numbers": numbers,
            }  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "steps": steps,
                "seconds": time.perf_counter() - STARTED,
                "cpu": used.ru_utime + used.ru_stime,
                "peak_mib": used.ru_maxrss / 1024,
            },
            default=str,
        )
    )


@contextmanager
def _profile(file: str | None) -> Iterator[None]:
    if file is None:
        yield
        return
    profiler = cProfile.Profile()
    with profiler:
        yield
    profiler.dump_stats(file)


if __name__ == "__main__":
    main()
