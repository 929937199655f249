"""What a page of a report shows."""

from __future__ import annotations

from html.parser import HTMLParser


class Cells(HTMLParser):
    """Text of the table rows, and sources of the images."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.images: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        self.inside = tag == "td" or (self.inside and tag in ("i", "small"))

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if tag == "td":
            self.inside = False

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self.inside:
            self.rows[-1][-1] += data.strip()


def parsed(page: str) -> Cells:
    """Return the cells and images of a page."""
    cells = Cells()
    cells.feed(page)
    return cells
