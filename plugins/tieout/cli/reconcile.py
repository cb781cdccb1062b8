"""The reconciliation from a shell: run it for a day, show its tie-out, list what differs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.model.tie_out import shown
from tieout.reconcile import lines, report_store
from tieout.reconcile.classes import CLASSES
from tieout.scenarios import reconciliation
from tieout.scenarios.services import find_link, open_services

app = typer.Typer(help="The daily tie-out: CRM against ledger, every difference classified.", no_args_is_help=True)
AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The day, in the link's time zone; documents dated until then."),
]


@app.command("run")
def run(
    link: LinkName,
    as_of: AsOf = None,
    known_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"],
            help="As both systems were staged at this instant, in UTC; nothing is read then. Without it, read now.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Reads both systems and makes the report of a day, yesterday where none is named. Fails where it does not tie."""
    known = known_at.replace(tzinfo=UTC) if known_at else None
    with open_services(link) as services:
        numbers = reconciliation.run(services, as_of=as_of.date() if as_of else None, known_at=known)
    if json:
        show.as_json(numbers)
        return
    _show(link, numbers["report"])


@app.command("show")
def show_report(link: LinkName, as_of: AsOf = None, json: Json = False) -> None:
    """Shows the tie-out of a day (the newest, where none is named): both sides, the differences by class."""
    find_link(load_settings(), link)
    with store() as engine, engine.connect() as conn:
        report = report_store.newest(conn, link, as_of.date() if as_of else None)
        if report is None:
            day = f" of {as_of:%Y-%m-%d}" if as_of else ""
            raise ConfigurationFault(f"link {link} has no report{day}: `tieout reconcile run {link}` makes one")
        if json:
            totals, classes = lines.totals(conn, report.report_id), lines.classes(conn, report.report_id)
            show.as_json(
                asdict(report)
                | {"totals": [asdict(one) for one in totals], "classes": [asdict(one) for one in classes]}
            )
            return
    _show(link, report.report_id)


@app.command("breaks")
def list_breaks(
    link: LinkName,
    area: Annotated[str | None, typer.Option(help="Only this area, such as invoices.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only this class, such as missing_in_finance.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    json: Json = False,
) -> None:
    """Lists what differs now, the largest first."""
    find_link(load_settings(), link)
    if class_ is not None and class_ not in CLASSES:
        raise ConfigurationFault(f"no class {class_!r}; expected one of {', '.join(CLASSES)}")
    with store() as engine, engine.connect() as conn:
        found = lines.breaks(conn, link, area=area, class_=class_, most=limit)
    if json:
        show.as_json(found)
        return
    rows = [
        (one["break_id"], one["area"], CLASSES[one["class"]].words, shown(one["amount"], one["scale"]),
         one["currency"], one["first_seen"], one["state"], one["owner"] or "", one["explanation"])
        for one in found
    ]  # fmt: skip
    columns = ("break", "area", "class", "amount", "currency", "first seen", "state", "owner", "what differs")
    show.table(f"Breaks of {link}", columns, rows, ("amount",))


def _show(link: str, report_id: int) -> None:
    with store() as engine, engine.connect() as conn:
        report = report_store.get(conn, report_id)
        totals, classes = lines.totals(conn, report_id), lines.classes(conn, report_id)
    rows = [
        (one.area, one.currency, one.a_count, one.text(one.a_amount), one.b_count, one.text(one.b_amount),
         one.text(one.a_amount - one.b_amount), one.text(one.explained), one.text(one.unexplained))
        for one in totals
    ]  # fmt: skip
    columns = ("area", "currency", "CRM", "CRM amount", "ledger", "ledger amount", "difference", "explained",
               "unexplained")  # fmt: skip
    show.table(f"Tie-out of {link} as of {report.as_of}: {report.state}", columns, rows, columns[2:])
    if classes:
        rows_ = [
            (one.area, one.currency, CLASSES[one.class_].words, one.count, shown(one.amount, one.scale),
             one.new_count, one.within_tolerance)
            for one in classes
        ]  # fmt: skip
        headings = ("area", "currency", "class", "count", "amount", "new", "within tolerance")
        show.table("Differences by class", headings, rows_, headings[3:])
    show.console.print(f"report {report.report_id}, hash {report.hash}", markup=False, soft_wrap=True)
