"""The page and the pictures hold what metrics.json says, whatever is missing from it."""

from __future__ import annotations

import base64
import html
import io
import json
import re

import matplotlib.image
import pytest
from rich.console import Console

from camoe.contracts.errors import InputError
from camoe.contracts.layout import Layout
from camoe.report import text
from camoe.report.page import render, summary_figure
from camoe.report.terminal import metrics_table
from camoe.report.write import write_report
from tests.report.cells import parsed
from tests.report.sample import SILENT, SLOTS, document

pytestmark = pytest.mark.lengthy

TRAINING = {
    "gate_weights": {"audio": [0.7, 0.3], "video": [0.2, 0.8]},
    "epochs": [
        {"epoch": 1, "train_loss": 0.3, "validation_ne": [0.95, 0.9]},
        {"epoch": 2, "train_loss": 0.2, "validation_ne": [0.9, None]},
    ],
}
COUNTS = {"build_features": {"written": {"train": 80_000}}, "evaluate": {"predictions": 61_560}}


@pytest.fixture(scope="module", params=[True, False], ids=["truth", "no-truth"])
def metrics(request, tmp_path_factory):
    return document(tmp_path_factory.mktemp("out"), truth=request.param)


@pytest.fixture(scope="module")
def page(metrics):
    return parsed(render(metrics, TRAINING, COUNTS)), render(metrics, TRAINING, COUNTS)


def test_every_row_of_the_document_is_a_row_of_the_table(metrics, page):
    shown = [row[-11:] for row in page[0].rows if len(row) >= 11]
    assert len(shown) == len(metrics["rows"])
    for cells, row in zip(shown, metrics["rows"], strict=True):
        assert cells[1:3] == [text.count(row["impressions"]), text.count(row["clicks"])]
        assert cells[3].startswith(text.metric(row["auc_pr"]))
        assert cells[4] == text.metric(row["roc_auc"])
        assert cells[5].startswith(text.metric(row["ne"]))
        assert cells[6:8] == [text.metric(row["ece"]), text.metric(row["ece_floor"])]
        assert cells[8:10] == [text.percent(row["mean_predicted"]), text.percent(row["observed"])]


def test_the_page_is_self_contained_and_free_of_nan(page):
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page[0].images)
    assert not re.search(r"(src|href)=\"(?!data:)", page[1])
    assert not re.search(r">\s*(nan|None)\b", page[1])


def test_names_are_data_in_pictures_and_in_the_terminal(metrics):
    """Not formulas, not markup, and of any script."""
    wanted = dict(zip(metrics["names"], ("10 $ off, $x$", "音声 [bold]", "<b>&"), strict=False))
    named = {**metrics, "names": metrics["names"] | wanted}
    images = parsed(render(named, TRAINING, COUNTS)).images
    drawn = "".join(base64.b64decode(image.partition(",")[2]).decode() for image in images)
    assert all(html.escape(name, quote=False) in drawn for name in wanted.values())
    summary_figure(named, next(iter(named["bar"]))).savefig(io.BytesIO(), format="png")


def test_pictures_of_training_appear_only_with_their_numbers(metrics, page):
    without = parsed(render(metrics, {}, COUNTS)).images
    assert len(page[0].images) == len(without) + 2
    assert len(parsed(render(metrics, {"gate_weights": TRAINING["gate_weights"]}, COUNTS)).images) == len(without) + 1
    ungated = TRAINING | {"gate_weights": {"audio": [], "video": []}}
    assert len(parsed(render(metrics, ungated, COUNTS)).images) == len(without) + 1


def test_rows_of_every_stage_are_listed(page):
    assert ["written.train", "80,000"] in page[0].rows
    assert ["predictions", "61,560"] in page[0].rows


def test_the_headline_is_the_gap_closed_or_the_entropy(metrics, page):
    for modality, bar in metrics["bar"]["click"].items():
        if bar["gap_closed"] is None:
            assert f"{modality}: NE</em><b>{text.metric(bar['ne_model'])}" in page[1]
        else:
            assert f"{modality}: NE gap closed</em><b>{text.percent(bar['gap_closed'], 0)}" in page[1]


def test_a_slot_without_clicks_keeps_its_row_with_dashes(metrics):
    row = next(row for row in metrics["rows"] if (row["group"], row["predictor"]) == (SILENT, "model"))
    assert row["impressions"] > 0
    assert (row["clicks"], row["auc_pr"], row["ne"], row["pcoc"]) == (0, None, None, None)
    assert row["ece"] is not None


def test_the_page_says_where_the_figures_of_training_are_not_those_of_the_model_itself(metrics, page):
    told = render(metrics, TRAINING | {"members": [{}], "refit": [{}, {}]}, COUNTS)
    assert "NE of each head on the validation days, of the first of the models that are averaged; the model" in told
    assert "a refit, which learned from the validation days, too." in told
    assert "refit" not in page[1]


def test_names_are_escaped(metrics):
    hostile = {**metrics, "names": dict.fromkeys(SLOTS, "<script>")}
    assert "<script>" not in render(hostile, {}, {})


def test_the_terminal_table_fits_120_columns(metrics):
    console = Console(width=120, file=io.StringIO())
    console.print(metrics_table(metrics, "click"))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 120
    assert not any("…" in line for line in lines)
    assert sum("base_rate" in line for line in lines) == len(SLOTS) + len(("audio", "video")) * 2 + 1


def test_files_are_written_and_the_summary_is_a_picture(metrics, tmp_path):
    layout = Layout(tmp_path)
    paths = write_report(layout, metrics, TRAINING)
    assert [path.name for path in paths] == ["metrics.json", "index.html", "summary.png"]
    assert json.loads(paths[0].read_text())["rows"] == json.loads(json.dumps(metrics["rows"], allow_nan=False))
    picture = matplotlib.image.imread(paths[2])
    assert picture.shape[1] > picture.shape[0] > 300
    assert picture[..., :3].std() > 0.01
    assert sorted(path.name for path in layout.report.iterdir()) == ["index.html", "metrics.json", "summary.png"]


@pytest.mark.parametrize("content", [b'{"epochs": [', b"\xff\xfe", b"[1]"])
def test_a_page_that_cannot_be_made_leaves_the_former_report(metrics, tmp_path, content):
    layout = Layout(tmp_path)
    former = {path: path.read_bytes() for path in write_report(layout, metrics, TRAINING)}
    layout.counts.write_bytes(content)
    changed = {**metrics, "counts": {"predictions": 1}}
    with pytest.raises(InputError, match=r"counts.json is damaged .*again"):
        write_report(layout, changed, TRAINING)
    assert {path: path.read_bytes() for path in layout.report.iterdir()} == former


def test_the_summary_has_a_panel_per_modality_beside_the_entropy(metrics):
    titles = [axes.get_title(loc="left") for axes in summary_figure(metrics, "click").axes]
    assert titles == ["Normalised entropy", "Calibration, audio", "Calibration, video"]
