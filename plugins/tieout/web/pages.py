"""What every page needs: who asks, the templates, the headers, the form's token. The routes are beside this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tieout.reports import present
from tieout.web import safety
from tieout.web.sources import Sources


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `may_edit`: may decide what a page lets a person decide."""

    name: str
    may_edit: bool


#: A FastAPI dependency that returns the Visitor or raises 401 or 403.
Dependency = Callable[..., Visitor]

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
)
_jinja.globals["PARTS"] = present.PARTS


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders templates for a request."""

    sources: Sources
    secret: bytes

    def render(self, name: str, request: Request, visitor: Visitor, status: int = 200, **values: Any) -> HTMLResponse:
        """The template with `base`, `visitor` and `csrf` beside the values."""
        body = _jinja.get_template(name).render(
            base=base(request),
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


def base(request: Request) -> str:
    """The path that the app is mounted at, quoted for a link."""
    return quote(str(request.scope.get("root_path", "")))
