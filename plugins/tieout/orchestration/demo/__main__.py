"""`python -m tieout.orchestration.demo up|down`: what `make demo` and `make stop` call."""

from __future__ import annotations

import argparse
import sys

from tieout.model.errors import TieoutError
from tieout.orchestration.demo.run import down, plan_from_environment, up
from tieout.orchestration.demo.show import Screen


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 all closed, 1 something failed, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="tieout demo", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument("--days", type=int, default=1, help="days of finance and sales after the first run (default 1)")
    given = parser.parse_args(arguments)
    screen, plan = Screen(), plan_from_environment(given.days)
    try:
        if given.what == "down":
            down(plan, screen)
        else:
            up(plan, screen)
    except KeyboardInterrupt:
        screen.line("interrupted; nothing is left running")
        return 130
    except TieoutError as error:
        screen.line(f"[bold red]{type(error).__name__}[/]")
        screen.console.print(str(error), markup=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
