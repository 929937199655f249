"""What a page of a report shows."""

from __future__ import annotations

from html.parser import HTMLParser


class Cells(HTMLParser):
    """Text of the table rows, and sources of the images."""

    def __init__(self):
        super().__init__()
        self.rows, self.images, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        self.inside = tag == "td" or (self.inside and tag in ("i", "small"))

    def handle_endtag(self, tag):
        if tag == "td":
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data.strip()


def parsed(page: str) -> Cells:
    """Return the cells and images of a page."""
    cells = Cells()
    cells.feed(page)
    return cells
