"""The page in a real browser: nothing to scroll sideways, the figures in view, light and dark, 300 slots.

What is seen is measured, not held against stored pictures: each browser and set of fonts draws letters in its own way,
and a tolerance that allows for it lets a table be cut off.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from camoe.report.page import render
from tests.report.sample import FIELDS, SLOTS, document

BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
pytestmark = [
    pytest.mark.lengthy,
    pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium-headless-shell"),
]
PHONE, WIDE = 390, 1280
HEIGHT = 844
FLAGS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars")
# Opens all that is folded and the first slots, and says what the page measures.
OPEN = """<script>
document.querySelectorAll("details").forEach((one) => { one.open = true; });
document.querySelectorAll("tbody.group button").forEach((one, at) => { if (at < 5) one.click(); });
</script>"""
MEASURE = """<script>
const all = (what) => [...document.querySelectorAll(what)];
const box = (one) => one.getBoundingClientRect();
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const cut = all("td, th, .tile, h2, h3").filter((one) => one.offsetParent)
  .filter((one) => box(one).right > window.innerWidth + 1 || box(one).left < 0);
const seen = all("table.groups [data-of=NE]").filter((one) => one.offsetParent && box(one).bottom < window.innerHeight);
const shown = all("details[data-kind=slot] tbody.group").filter((one) => !one.hidden);
const days = all("h4").filter((one) => one.textContent === "Predicted and observed by day");
const parts = [all("tr.detail svg"), all("table.counts"), all("td.words"), all(".chart svg"), days];
document.title = ["measured", wide, ...[cut, seen, shown, ...parts].map((found) => found.length)].join(" ");
</script>"""


def browse(*arguments: str) -> str:
    assert BROWSER is not None
    done = subprocess.run([BROWSER, *FLAGS, *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def measured(path: Path, page: str, width: int, script: str = "") -> tuple[int, ...]:
    """Pixels that stick out, elements that are cut off, NEs of the model in view, slots shown, pictures of groups;
    tables of verdicts, groups with verdicts, pictures of fields, curves over days."""
    path.write_text(page.replace("</body>", script + MEASURE + "</body>"))
    told = browse(f"--window-size={width},{HEIGHT}", "--dump-dom", path.as_uri())
    return tuple(map(int, re.search(r"<title>measured ([\d -]+)</title>", told)[1].split()))


def screenshot(path: Path, width: int, *flags: str) -> np.ndarray:
    picture = path.with_suffix(f".{width}{len(flags)}.png")
    browse(f"--window-size={width},{HEIGHT}", f"--screenshot={picture}", *flags, path.as_uri())
    return matplotlib.image.imread(picture)[..., :3]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    return document(tmp_path_factory.mktemp("out"), truth=True, whole=True)


def many(metrics, number):
    """The document with the first slot's figures under `number` names."""
    first = next(iter(SLOTS))
    made = {**metrics, "names": {f"slot{at}": f"A placement with a long name, number {at}" for at in range(number)}}
    for part in ("rows", "groups", "differences", "champions"):
        kept = [one for one in metrics[part] if one["group_kind"] != "slot"]
        own = [one for one in metrics[part] if (one["group_kind"], one["group"]) == ("slot", first)]
        made[part] = kept + [{**one, "group": name} for name in made["names"] for one in own]
    return made


@pytest.mark.parametrize("width", [PHONE, WIDE])
@pytest.mark.parametrize("script", ["", OPEN], ids=["folded", "opened"])
def test_nothing_is_cut_off(metrics, tmp_path, width, script):
    found = measured(tmp_path / "page.html", render(metrics, {}, {}), width, script)
    sticking, cut, _, slots, pictures, tables, words, fields, days = found
    assert (sticking, cut, slots) == (0, 0, len(SLOTS))
    assert (pictures > 0, days > 0) == (bool(script), bool(script))
    groups = 1 + len(("audio", "video")) + len(SLOTS) + sum(map(len, FIELDS.values()))
    assert (tables, words, fields) == (1, groups, len(FIELDS))


def test_each_dot_of_a_field_is_what_the_model_predicts(metrics, tmp_path):
    (path := tmp_path / "page.html").write_text(render(metrics, {}, {}))
    told = re.findall(
        r"<title>([^<]+): predicted ([\d.]+) %, observed ([\d.]+) %</title>", browse("--dump-dom", path.as_uri())
    )
    model = [row for row in metrics["rows"] if row["predictor"] == "model" and row["group_kind"] in FIELDS]
    assert {name: (float(p), float(o)) for name, p, o in told} == {
        row["group"]: tuple(float(f"{100 * row[name]:.3g}") for name in ("mean_predicted", "observed")) for row in model
    }


@pytest.mark.parametrize("width", [PHONE, WIDE])
def test_the_models_figures_are_in_view_without_scrolling(metrics, tmp_path, width):
    assert measured(tmp_path / "page.html", render(metrics, {}, {}), width)[2] >= 1


def test_three_hundred_slots_are_searched_and_sorted(metrics, tmp_path):
    page = render(many(metrics, 300), {}, {})
    assert measured(tmp_path / "page.html", page, PHONE)[:2] == (0, 0)
    first = measured(tmp_path / "page.html", page, WIDE)
    assert (first[0], first[1], first[3]) == (0, 0, 20)

    def after(script):
        return measured(
            tmp_path / "page.html",
            page,
            WIDE,
            f"<script>{{const kind = document.querySelector('details[data-kind=slot]');{script}}}</script>",
        )[3]

    search = (
        "const field = kind.querySelector('input'); field.value = 'Number 29'; field.dispatchEvent(new Event('input'));"
    )
    assert after(search) == 13
    assert after("kind.querySelector('.more button').click();") == 300


def test_light_and_dark_are_readable(metrics, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render(metrics, {}, {}))
    light, dark = screenshot(path, PHONE), screenshot(path, PHONE, "--blink-settings=preferredColorScheme=0")
    assert light.shape == dark.shape == (HEIGHT, PHONE, 3)
    for picture, background in ((light, 1.0), (dark, 0.1)):
        assert np.median(picture) == pytest.approx(background, abs=0.06)
        # Writing stands out from it.
        assert np.abs(picture - background).max() > 0.6
