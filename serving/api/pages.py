"""`/` and `/healthz`: what runs here and where to read on. They hold no data and need no key."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from serving.api.backend import State
from serving.api.errors import retry_later
from serving.api.openapi import errors_of

HOME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evervalue</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 40rem; padding: 0 1rem }}</style>
</head><body>
<h1>Evervalue</h1>
<p>Customer value and recommendations. Status: <strong>{status}</strong>.</p>
<ul>
<li><a href="docs">API documentation</a></li>
<li><code>POST /v1/value</code>: lifetime value, its interval, segment, stage and next best action</li>
<li><code>POST /v1/recommendations</code>: items of the catalogue with a score and a reason</li>
<li><code>GET /v1/model</code>: which models answer</li>
</ul>
<p>Calls under <code>/v1</code> need a key: <code>Authorization: Bearer KEY</code>.</p>
</body></html>
"""


def home_page(status: str) -> str:
    """HTML that says whether the service is ready."""
    return HOME.format(status=status)


def add_pages(api: FastAPI, state: State) -> None:
    """`/` and `/healthz`: they hold no data and need no key."""

    @api.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def home() -> str:
        status = "ready" if state.description is not None else "starting: the models are loading"
        return home_page(status)

    @api.get("/healthz", responses=errors_of(503), summary="Whether requests can be answered")
    async def health() -> dict[str, str]:
        if state.description is None:
            raise retry_later(503, "the models are loading")
        return {"status": "ok"}
