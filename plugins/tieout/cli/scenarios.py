"""One command for each scenario: the whole run, or one of its steps again."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any
from uuid import UUID

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault, RateLimited
from tieout.scenarios import checking, credit_sync, product_sync, quote_to_cash, returns
from tieout.scenarios.services import open_services
from tieout.store import runs as store_runs

#: Each has NAME, STEPS, run and a function for each step (scenarios/steps.py); its docstring's first line is the help.
SCENARIOS = (quote_to_cash, credit_sync, product_sync, returns)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for scenario in SCENARIOS:
        words = (scenario.__doc__ or "").strip().splitlines()[0]
        app.command(scenario.NAME.replace("_", "-"), help=words)(_command(scenario))


def _command(scenario: ModuleType) -> Callable[..., None]:
    steps = ", ".join(scenario.STEPS)
    # No Annotated here: typer reads annotations where the scenario's steps are not known.
    only_step = typer.Option(None, help=f"Only this step of --run-id: {steps}.")

    def command(
        link: LinkName,
        step: str | None = only_step,
        run_id: Annotated[str | None, typer.Option(help="The run whose step is done (again).")] = None,
        json: Json = False,
    ) -> None:
        if (step is None) != (run_id is None):
            raise ConfigurationFault("--step and --run-id go together: `tieout runs` lists the runs")
        if step is not None and step not in scenario.STEPS:
            raise ConfigurationFault(f"no step {step!r}; expected one of {steps}")
        if run_id is not None:
            _require_run(run_id, link, scenario.NAME)
        with open_services(link) as services:
            if step is not None:
                show.as_json(getattr(scenario, step)(services, run_id))
                return
            numbers = scenario.run(services, on_step=None if json else _progress)
            docs = checking.docs_folder(services.settings.home, numbers["run_id"])
        if json:
            show.as_json(numbers)
        else:
            show.summary(numbers)
            show.console.print(f"run {numbers['run_id']}", markup=False)
            for what, page in checking.docs_pages(docs).items():
                show.console.print(f"Data Docs of {what}: {docs / page}", markup=False, soft_wrap=True)
        if numbers["goes_on_in"] is not None:
            words = "a vendor's limit is used up; what was posted until now is settled"
            raise RateLimited(words, numbers["goes_on_in"])

    return command


def _require_run(run_id: str, link: str, scenario: str) -> None:
    try:
        wanted = UUID(run_id)
    except ValueError:
        raise ConfigurationFault(f"--run-id {run_id!r}: expected the id of a run; `tieout runs` lists them") from None
    with store() as engine, engine.connect() as conn:
        found = store_runs.get(conn, wanted)
    if found is None or found.link != link or found.scenario != scenario:
        raise ConfigurationFault(
            f"link {link} has no run {run_id} of {scenario}: `tieout runs --link {link}` lists them"
        )


def _progress(name: str, numbers: Any) -> None:
    if name != "summarise":
        show.console.print(f"{name} done", markup=False)
