"""What every page needs: who asks, the templates, the headers, the form's token. The routes are beside this file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import quote, urlencode

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tieout.model.tie_out import AGE_BUCKETS
from tieout.reports import charts, present
from tieout.web import safety
from tieout.web.sources import Sources

#: What only some of those who read the pages may do; orchestration/roles.py says which role has which.
Right = Literal["breaks", "decide", "prepare", "review"]
RIGHTS: tuple[Right, ...] = get_args(Right)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks.

    Attributes:
        may_edit: may replay dead letters and decide about writes.
        rights: `breaks`: look after breaks and matches; `decide`: approve proposals; `prepare`, `review`: sign.
    """

    name: str
    may_edit: bool
    rights: frozenset[Right] = frozenset()

    def may(self, right: Right) -> bool:
        """Whether the visitor has this right."""
        return right in self.rights


#: A FastAPI dependency that returns the Visitor or raises 401 or 403.
Dependency = Callable[..., Visitor]


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may come in: everybody who reads, or those with one right."""

    reader: Dependency
    operator: Dependency
    breaks: Dependency
    decide: Dependency
    prepare: Dependency
    review: Dependency


_jinja = Environment(
    loader=PackageLoader("tieout.web"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_jinja.filters.update(
    amount=present.amount,
    moment=present.moment,
    words=present.words,
    plain=present.plain,
    price=present.price,
    quantity=present.quantity,
    duration=present.duration,
    age=present.age,
    figure=present.figure,
    harmless=present.harmless,
    share=present.share,
    without=lambda here, *names: _without(here, *names),
)
_jinja.globals.update(PARTS=present.PARTS, charts=charts, AGE_BUCKETS=AGE_BUCKETS)


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders templates for a request."""

    sources: Sources
    secret: bytes

    def render(self, name: str, request: Request, visitor: Visitor, status: int = 200, **values: Any) -> HTMLResponse:
        """The template with `base`, `visitor` and `csrf` beside the values."""
        body = _jinja.get_template(name).render(
            base=base(request),
            section=_section(request),
            visitor=visitor,
            csrf=safety.csrf_token(self.secret, visitor.name),
            **values,
        )
        return page(body, status)

    def require_token(self, visitor: Visitor, csrf: str) -> None:
        """Raises HTTPException 403 unless the form was made by our pages for this visitor."""
        if not safety.csrf_matches(self.secret, visitor.name, csrf):
            raise HTTPException(403, "The form is out of date. Open the page again and repeat.")


def refused(status: int, detail: str, login: str | None = None) -> HTMLResponse:
    """A page that says why there is no page; `login`: where to log in."""
    return page(_jinja.get_template("refused.html").render(status=status, detail=detail, login=login), status)


def page(body: str, status: int = 200) -> HTMLResponse:
    """HTML under the pages' policy."""
    return HTMLResponse(body, status, headers={**safety.HEADERS, "Content-Security-Policy": safety.PAGE_POLICY})


def back_to(request: Request, path: str) -> RedirectResponse:
    """What a form answers with: the page to look at next, `path` below ours."""
    return RedirectResponse(f"{base(request)}{path}", 303)


def _section(request: Request) -> str:
    """The first part of the page's path below ours: which entry of the menu it belongs to."""
    path = request.url.path.removeprefix(str(request.scope.get("root_path", "")))
    first = path.strip("/").partition("/")[0]
    return "" if first == "tie-outs" else first


def _without(here: Mapping[str, str], *names: str) -> str:
    """A list's address without some of its fields."""
    return urlencode({name: value for name, value in here.items() if name not in names})


def base(request: Request) -> str:
    """The path that the app is mounted at, quoted for a link."""
    return quote(str(request.scope.get("root_path", "")))
