"""Links and their runs, one run with its account, its Data Docs."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from tieout.reports import present
from tieout.scenarios.checking import docs_pages
from tieout.store.dead_letters import Filter
from tieout.web import safety
from tieout.web.pages import Dependency, Pages, Visitor, back_to
from tieout.web.writes import ASKED_WORDS


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    sources = pages.sources

    @app.get("/runs")
    def listing(request: Request, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        waiting, ages = sources.waiting_writes()
        return pages.render(
            "runs.html", request, visitor, links=sources.links(), waiting=waiting, asked=ASKED_WORDS,
            oldest=ages[0] if ages else None,
        )  # fmt: skip

    @app.get("/runs/{run_id}")
    def run(request: Request, run_id: UUID, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        found = sources.run(run_id)
        if found is None:
            raise HTTPException(404, "There is no sync run with this id.")
        letters = sources.letters(Filter(state=None, run_id=run_id))
        docs = docs_pages(sources.docs(run_id))
        rows = present.closing(found.counts, found.amounts)
        report = sources.report_of_run(run_id)
        return pages.render(
            "run.html", request, visitor, run=found, rows=rows, letters=letters, docs=docs, report=report
        )

    @app.get("/airflow-run")
    def airflow_run(request: Request, dag_id: str, run_id: str, visitor: Visitor = Depends(reader)) -> Response:
        found = sources.run_of_airflow(dag_id, run_id)
        if found is None:
            raise HTTPException(404, "This run of Airflow has not opened a sync run yet.")
        report = sources.report_of_run(found)
        if report is not None:
            return back_to(request, f"/tie-outs/{report.link}/{report.as_of}?report={report.report_id}")
        return back_to(request, f"/runs/{found}")

    @app.get("/runs/{run_id}/data-docs/{path:path}")
    def data_docs(run_id: UUID, path: str, visitor: Visitor = Depends(reader)) -> Response:
        return _docs_file(sources.docs(run_id), path)


def _docs_file(folder: Path, path: str) -> Response:
    found = safety.file_inside(folder, path)
    if found is None or found.suffix not in safety.DOCS_TYPES:
        raise HTTPException(404, "There is no such page in this run's Data Docs.")
    headers = {**safety.HEADERS, "Content-Security-Policy": safety.DOCS_POLICY}
    return FileResponse(found, media_type=safety.DOCS_TYPES[found.suffix], headers=headers)
