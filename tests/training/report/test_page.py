"""Pages of HTML: what customers, items and categories are called is text in them, never markup."""

from html.parser import HTMLParser
from pathlib import Path

from training.report.page import Picture, Section, Table, facts, write_page

HOSTILE = "<script>alert(1)</script>\"'&"


class Reader(HTMLParser):
    """The tags and attributes of a page, and all of its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    table = Table(HOSTILE, [HOSTILE], [[HOSTILE]], marked=HOSTILE)
    image = Picture("data:,", f'{HOSTILE}" onload="alert(1)')
    sections = [Section(HOSTILE, [table, facts(HOSTILE, {HOSTILE: HOSTILE}), image], HOSTILE)]
    write_page(tmp_path / "page.html", HOSTILE, sections)
    reader = Reader()
    reader.feed((tmp_path / "page.html").read_text())
    assert "script" not in reader.tags
    assert "onload" not in reader.attributes
    # Title, first heading, chapter, section, two captions, header, cell, key and value.
    assert reader.text.count(HOSTILE) == 10
