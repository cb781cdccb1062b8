"""Plans of fiscal periods: the list, one with its sums and lines, and what a person decides about it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from tieout.store import period_plans
from tieout.store.period_plans import NotAllowed
from tieout.web.pages import Dependency, Pages, Visitor, back_to

#: Lines that one page shows; `tieout period show-plan --json` has all of a larger plan.
MOST_LINES = 5_000


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    open_engine = pages.sources.open_engine

    @app.get("/plan")
    def shown(
        request: Request, visitor: Visitor = Depends(reader), plan: int | None = None, link: str = "", decided: str = ""
    ) -> HTMLResponse:
        with open_engine().connect() as conn:
            if plan is None:
                found = period_plans.latest(conn, link or None, limit=pages.sources.page_size)
                return pages.render("plans.html", request, visitor, plans=found, link=link)
            one = period_plans.get(conn, plan)
            if one is None:
                raise HTTPException(404, "There is no plan with this number.")
            lines = period_plans.lines(conn, plan, limit=MOST_LINES)
            totals = period_plans.totals(conn, plan)
            documents = sum(total.documents for total in totals)
        named = {name.strip().casefold() for name in one.approvers}
        return pages.render(
            "plan.html", request, visitor, plan=one, lines=lines, totals=totals, documents=documents, decided=decided,
            named=not named or visitor.name.strip().casefold() in named,
        )  # fmt: skip

    @app.post("/plan/decide")
    def decide(
        request: Request,
        csrf: Annotated[str, Form()],
        plan: Annotated[int, Form()],
        verdict: Annotated[Literal["approve", "send_back"], Form()],
        visitor: Visitor = Depends(operator),
        seen: Annotated[str, Form(max_length=64)] = "",
        note: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        agreed = verdict == "approve"
        if not agreed and not note.strip():
            raise HTTPException(400, "To send a plan back needs a reason: fill in the note.")
        try:
            with open_engine().begin() as conn:
                decided = period_plans.decide(conn, plan, visitor.name, seen, agreed=agreed, note=note)
        except NotAllowed as error:
            raise HTTPException(409, str(error)) from error
        run = pages.sources.run(decided.run_id)
        if run is not None and run.airflow_dag_id and run.airflow_run_id:
            pages.sources.answer(run.airflow_dag_id, run.airflow_run_id, agreed, visitor.name)
        return back_to(request, f"/plan?plan={plan}&decided={verdict}")
