"""Proposals of reversals: the list, one with its documents and sums, and what a person decides about it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from tieout.scenarios import approval
from tieout.store import proposals
from tieout.store.proposals import NotAllowed
from tieout.web.pages import Dependency, Pages, Visitor, back_to

STATES = ("proposed", "approved", "done", "refused")


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    open_engine = pages.sources.open_engine

    @app.get("/proposals")
    def listing(request: Request, visitor: Visitor = Depends(reader), state: str = "", link: str = "") -> HTMLResponse:
        with open_engine().connect() as conn:
            found = proposals.listing(conn, link or None, state or None, pages.sources.page_size)
        return pages.render(
            "proposals.html", request, visitor, proposals=found, states=STATES, state_wanted=state, link=link
        )

    @app.get("/proposals/{proposal_id}")
    def one(request: Request, proposal_id: int, visitor: Visitor = Depends(reader), decided: str = "") -> HTMLResponse:
        with open_engine().connect() as conn:
            found = proposals.get(conn, proposal_id)
            states = proposals.states(conn, proposal_id)
        if found is None:
            raise HTTPException(404, "There is no proposal with this number.")
        own = not found.by_machine and found.proposed_by.strip().casefold() == visitor.name.strip().casefold()
        return pages.render(
            "proposal.html",
            request,
            visitor,
            proposal=found,
            carried=states,
            own=own,
            decided=decided,
            shown_actions=proposals.shown_actions,
        )

    @app.post("/proposals/{proposal_id}/decide")
    def decide(
        request: Request,
        proposal_id: int,
        csrf: Annotated[str, Form()],
        verdict: Annotated[Literal["approve", "refuse"], Form()],
        visitor: Visitor = Depends(operator),
        seen: Annotated[str, Form(max_length=64)] = "",
        note: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        pages.require_token(visitor, csrf)
        try:
            if verdict == "approve":
                approval.approve(open_engine(), proposal_id, visitor.name, seen, note)
            elif not note.strip():
                raise HTTPException(400, "A refusal needs a reason: fill in the note.")
            else:
                with open_engine().begin() as conn:
                    proposals.refuse(conn, proposal_id, visitor.name, note)
        except NotAllowed as error:
            raise HTTPException(409, str(error)) from error
        return back_to(request, f"/proposals/{proposal_id}?decided={verdict}")
