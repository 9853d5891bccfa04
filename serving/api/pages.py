"""`/` and `/healthz`: what runs here and where to read on. They hold no data and need no key."""

from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from serving.api.admission import Admission
from serving.api.openapi import errors_of


@dataclass(frozen=True)
class Pages:
    """The endpoints of this file; `template` is that of `/`."""

    admission: Admission
    template: Template

    async def home(self) -> str:
        is_ready = self.admission.description is not None
        status = "ready" if is_ready else "starting: the models are loading"
        return self.template.render(status=status)

    async def health(self) -> dict[str, str]:
        self.admission.loaded()
        return {"status": "ok"}


def add_pages(api: FastAPI, admission: Admission) -> None:
    """Let the API answer `/` and `/healthz`."""
    templates = Environment(
        loader=PackageLoader("serving.api"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    pages = Pages(admission, templates.get_template("home.html"))
    api.get("/", response_class=HTMLResponse, include_in_schema=False)(pages.home)
    healthz = api.get(
        "/healthz", responses=errors_of(503), summary="Whether requests can be answered"
    )
    healthz(pages.health)
