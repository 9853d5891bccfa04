"""Chromium without a window: how wide the parts of a page are, and whether legends lie over bars."""

import html
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A frame of its own gives the page any width; a window of Chromium has a least one.
FRAME = """<!doctype html><body style="margin:0"><iframe id="page" style="border:0;width:{width}px;height:800px"
srcdoc="{page}"></iframe><pre id="measured"></pre><script>
function apart(a, b) {{
  return a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
}}
function over_bars(image) {{
  const holder = document.body.appendChild(document.createElement("div"));
  holder.innerHTML = atob(image.src.split(",")[1]).replace(/^[^]*?<svg/, "<svg");
  const legends = [...holder.querySelectorAll("[id^=legend_]")].map(one => one.getBoundingClientRect());
  let bars = [];
  for (const axes of holder.querySelectorAll("[id^=axes_]")) {{
    // The first patch is the background.
    const patches = [...axes.children].filter(one => one.id.startsWith("patch_")).slice(1);
    bars = bars.concat(patches.map(one => one.getBoundingClientRect()));
  }}
  holder.remove();
  const drawn = bars.filter(bar => bar.width > 2 && bar.height > 2);
  return {{legends: legends.length, bars: drawn.length,
    hit: legends.some(legend => drawn.some(bar => !apart(legend, bar)))}};
}}
document.getElementById("page").addEventListener("load", event => {{
  const page = event.target.contentDocument;
  const root = page.documentElement;
  const shown = [...page.querySelectorAll("*")].filter(one => one.clientWidth > 0);
  const wide = shown.filter(one => one.scrollWidth > one.clientWidth + 1);
  const images = [...page.images].map(image => Object.assign({{what: image.alt}}, over_bars(image)));
  document.getElementById("measured").textContent = JSON.stringify({{
    width: root.clientWidth, content: root.scrollWidth,
    cut: wide.map(one => one.tagName.toLowerCase() + ": " + one.textContent.trim().slice(0, 60)),
    tables: page.querySelectorAll("table").length,
    images: images,
  }});
}});
</script></body>"""


@dataclass(frozen=True)
class Drawing:
    """A plot: its legends and bars, and whether any of the first lies over any of the second."""

    what: str
    legends: int
    bars: int
    hit: bool


@dataclass(frozen=True)
class Measured:
    """A page as the browser laid it out; `cut` are the elements that are wider inside than outside."""

    width: int
    content: int
    cut: list[str]
    tables: int
    images: list[Drawing]


def measured(page: Path, width: int, folder: Path) -> Measured:
    """The page at a width in pixels; `folder` takes Chromium's own files."""
    browser = next((found for name in NAMES if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("chromium is not installed")
    frame = folder / f"frame-{width}.html"
    frame.write_text(
        FRAME.format(width=width, page=html.escape(page.read_text(encoding="utf-8"))),
        encoding="utf-8",
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder / 'chromium'}", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [*command, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    _, _, told = done.stdout.partition('<pre id="measured">')
    found = json.loads(html.unescape(told.partition("</pre>")[0]))
    images = [Drawing(**image) for image in found.pop("images")]
    return Measured(images=images, **found)
