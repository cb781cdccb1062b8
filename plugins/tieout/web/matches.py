"""The matching board: what a rule thinks belongs together, with its evidence; a person confirms or refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.reconcile import reading, suggestions
from tieout.reconcile.suggestions import Kept, NotDecided
from tieout.reports.present import harmless, plain, words
from tieout.web.pages import Doors, Pages, Visitor, back_to

STATES = ("suggested", "confirmed", "refused")
#: Suggestions on one page: each is looked at.
PAGE = 50

_Text = Annotated[str, Query(max_length=200)]
Verdict = Literal["confirmed", "refused"]
SAID: Mapping[str, str] = {
    "confirmed": "is confirmed: the next reconciliation keeps to it.",
    "refused": "is refused: it is not suggested again.",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One record of a match: its key, and what the evidence says of it."""

    key: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A match as the board shows it; `why`: what of the evidence is about neither side alone."""

    kept: Kept
    a: Sequence[Side]
    b: Sequence[Side]
    why: Sequence[tuple[str, str]]


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.get("/matches")
    def board(
        request: Request,
        visitor: Visitor = Depends(doors.reader),
        link: _Text = "",
        state: Literal["suggested", "confirmed", "refused", ""] = "suggested",
        skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
        done: _Text = "",
        number: int | None = None,
    ) -> HTMLResponse:
        with engine().connect() as conn:
            kept = suggestions.listing(conn, link or None, state or None, skip=skip, limit=PAGE + 1)
            counts, links = suggestions.counts(conn, link or None), reading.links(conn)
        here = {"link": link, "state": state}
        return pages.render(
            "matches.html", request, visitor, counts=counts, links=links,
            matches=[shown(one) for one in kept[:PAGE]], state_wanted=state,
            states=STATES, link=link, here=urlencode(here), said=SAID.get(done), number=number, first=skip == 0,
            later=urlencode({**here, "skip": skip + PAGE}) if len(kept) > PAGE else None,
        )  # fmt: skip

    @app.post("/matches/{match_id}/{verdict}")
    def decide(
        request: Request,
        match_id: int,
        verdict: Verdict,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(doors.breaks),
        note: Annotated[str, Form(max_length=500)] = "",
        link: Annotated[str, Form(max_length=200)] = "",
        state: Annotated[str, Form(max_length=20)] = "suggested",
    ) -> Response:
        pages.require_token(visitor, csrf)
        try:
            with engine().begin() as conn:
                suggestions.decide(conn, match_id, verdict, visitor.name, note)
        except NotDecided as error:
            raise HTTPException(409, f"Nothing was changed: {error}.") from error
        asked = {"link": link, "state": state if state in STATES else "", "done": verdict, "number": match_id}
        return back_to(request, f"/matches?{urlencode(asked)}")


def shown(kept: Kept) -> Shown:
    """The evidence sorted to what it is about: `a` and `b` hold facts by the record's key, the rest is why."""
    a, b = kept.evidence.get("a"), kept.evidence.get("b")
    why = [(words(str(name)), _text(value)) for name, value in kept.evidence.items()
           if not (name in ("a", "b") and isinstance(value, Mapping))]  # fmt: skip
    return Shown(kept, _sides(kept.a_keys, a), _sides(kept.b_keys, b), why)


def _sides(keys: Iterable[str], facts: Any) -> list[Side]:
    by_key = facts if isinstance(facts, Mapping) else {}
    return [Side(key, _facts(by_key.get(key))) for key in keys]


def _facts(facts: Any) -> list[tuple[str, str]]:
    if not isinstance(facts, Mapping):
        return [] if facts is None else [("", _text(facts))]
    return [(words(str(name)), _text(value)) for name, value in facts.items() if value not in (None, "", [])]


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return harmless(", ".join(map(str, value)))
    return harmless(plain(value))
