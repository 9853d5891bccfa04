"""The page at `/`: what runs here and where to read on. It holds no data and needs no key."""


def home_page(status: str) -> str:
    """HTML that says whether the service is ready."""
    return HOME.format(status=status)


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
