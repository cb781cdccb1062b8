"""Setting up and looking after: migrations, links, mappings, suites, the doctor, generated documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.runs import Json, LinkName
from tieout.mapping.lint import lint
from tieout.mapping.load import apply_overrides, load_links, load_system
from tieout.mapping.matrix import as_markdown, matrix
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings, load_settings
from tieout.scenarios.correspondences import STEPS
from tieout.scenarios.doctor import examine
from tieout.scenarios.services import find_link
from tieout.store import migrate as migrations

mapping = typer.Typer(help="How fields of the CRM become fields of the ledger.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("doctor")(doctor)
    app.command("links")(links)
    app.command("migrate")(migrate)
    app.command("docs")(docs)
    app.add_typer(mapping, name="mapping")


def doctor(link: LinkName) -> None:
    """Is everything reachable, allowed and configured? Says what to do where it is not; exits with 65 then."""
    bad = 0
    for finding in examine(load_settings(), link):
        bad += not finding.ok
        show.console.print(("ok    " if finding.ok else "BAD   ") + finding.what, markup=False)
        if finding.remedy and not finding.ok:
            show.console.print(f"      what to do: {finding.remedy}", markup=False)
    if bad:
        raise ConfigurationFault(f"{bad} of the above have to be mended")


def links() -> None:
    """The links of include/links."""
    found = load_links(load_settings().include / "links")
    rows = [
        (
            link.name,
            link.crm,
            link.ledger,
            link.base_currency,
            link.calendar,
            link.policies.trigger,
            link.schedules.quote_to_cash,
        )
        for link in found.values()
    ]
    show.table("Links", ("link", "CRM", "ledger", "books in", "fiscal calendar", "bills", "quote-to-cash runs"), rows)


def migrate() -> None:
    """Brings the store to the newest schema; safe to repeat."""
    with store() as engine:
        typer.echo(f"the schema is at {migrations.upgrade(engine)}")


@mapping.command("lint")
def lint_mappings(
    link: Annotated[str | None, typer.Option(help="With this link's overrides.")] = None,
    json: Json = False,
) -> None:
    """Lengths, precision, characters, rate direction and names, against what is known of the vendors."""
    settings = load_settings()
    chosen = find_link(settings, link) if link else None
    mappings = [
        apply_overrides(one, chosen) if chosen else one
        for system in systems(settings)
        for one in load_system(settings.include / "mappings", system).values()
    ]
    found = lint(mappings, chosen)
    if json:
        show.as_json([{"where": one.where, "severity": one.severity, "message": one.message} for one in found])
    for one in found if not json else ():
        show.console.print(str(one), markup=False)
    errors = sum(one.severity == "error" for one in found)
    if errors:
        raise ConfigurationFault(f"{errors} errors in the mappings")
    if not json:
        typer.echo(f"{len(mappings)} mappings, {len(found)} warnings")


@mapping.command("matrix")
def show_matrix(
    crm: Annotated[str, typer.Argument(help="A folder of include/mappings, such as salesforce.")],
    ledger: Annotated[str, typer.Argument(help="Another one, such as xero.")],
) -> None:
    """CRM field | finance field | transformation, as Markdown."""
    typer.echo(matrix_text(load_settings(), crm, ledger))


def systems(settings: Settings) -> list[str]:
    """Systems that have mappings."""
    return sorted(folder.name for folder in (settings.include / "mappings").iterdir() if folder.is_dir())


def matrix_text(settings: Settings, crm: str, ledger: str) -> str:
    """The matrix of two systems as Markdown."""
    known = systems(settings)
    for system in (crm, ledger):
        if system not in known:
            raise ConfigurationFault(f"no mappings for {system!r}: include/mappings has {', '.join(known)}")
    folder = settings.include / "mappings"
    return as_markdown(matrix(load_system(folder, crm), load_system(folder, ledger), STEPS))


def docs(
    check: Annotated[bool, typer.Option(help="Write nothing; fail where a page is not what it would be.")] = False,
) -> None:
    """Writes docs/MAPPINGS.md, docs/CLI.md, docs/DAGS.md and docs/SYSTEMS.md anew."""
    from tieout.cli.pages import pages

    settings = load_settings()
    stale = []
    for name, content in pages(settings).items():
        path: Path = settings.project / "docs" / name
        if check:
            stale += [name] if not path.is_file() or path.read_text(encoding="utf-8") != content else []
        else:
            path.write_text(content, encoding="utf-8")
            typer.echo(f"docs/{name}")
    if stale:
        raise ConfigurationFault(f"not what they would be: {', '.join(stale)}; write them with `make docs`")
