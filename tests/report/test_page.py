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
COUNTS = {
    "build_features": {"written": {"train": 80_000}, "days": ["2026-03-10", "2026-03-11"]},
    "evaluate": {"predictions": 61_560},
}


@pytest.fixture(scope="module", params=[True, False], ids=["truth", "no-truth"])
def metrics(request, tmp_path_factory):
    return document(tmp_path_factory.mktemp("out"), truth=request.param)


@pytest.fixture(scope="module")
def page(metrics):
    return parsed(render(metrics, TRAINING, COUNTS)), render(metrics, TRAINING, COUNTS)


def shown_rows(metrics):
    """The model's rows but those of heads, which are the modalities of this sample."""
    order = {"all": 0, "modality": 1, "slot": 2}
    rows = [row for row in metrics["rows"] if row["predictor"] == "model" and row["group_kind"] in order]
    return sorted(rows, key=lambda row: order[row["group_kind"]])


def test_the_models_row_of_every_group_is_a_row_of_the_table(metrics, page):
    shown = [row for row in page[0].rows if len(row) == 9]
    assert len(shown) == len(shown_rows(metrics))
    for cells, row in zip(shown, shown_rows(metrics), strict=True):
        assert cells[1:3] == [text.count(row["impressions"]), text.count(row["clicks"])]
        for cell, name in zip(cells[4:8], ("auc_pr", "roc_auc", "ne", "ece"), strict=True):
            assert cell.startswith(text.metric(row[name]) + _between(row[f"{name}_interval"], 4))
        assert cells[3] == text.percent(row["observed"]) + _between(row["observed_interval"], 2, 100)
        assert cells[4].endswith(_between(row["auc_pr_lift_interval"], 2))


def _between(interval, digits, of=1):
    return "" if interval is None else f"{of * interval['low']:.{digits}f} to {of * interval['high']:.{digits}f}"


def test_what_opens_below_a_group_is_in_the_page(metrics, page):
    data = json.loads(re.search(r'<script type="application/json" class="data">(.*?)</script>', page[1])[1])
    assert len(data["groups"]) == len(shown_rows(metrics))
    whole = data["groups"][0]
    assert [row[0] for row in whole["rows"]] == list(dict.fromkeys(row["predictor"] for row in metrics["rows"]))
    assert whole["days"] == [["2026-03-11", pytest.approx(0.029, abs=0.005), pytest.approx(0.0253, abs=1e-4)]]
    recall, precision = zip(*dict(whole["curves"]["pr"])["model"], strict=True)
    assert recall[-1] == 1.0
    assert precision[0] > precision[-1]
    assert sum(bar[2] for bar in whole["curves"]["scores"]) == shown_rows(metrics)[0]["impressions"]


def test_a_model_that_loses_to_the_slots_rate_is_marked(metrics, page):
    assert "no better than the slot" not in re.sub("<script.*?</script>", "", page[1], flags=re.DOTALL)
    rows = [
        {**row, "ne": 2.0} if (row["group"], row["predictor"]) in (("stream_video", "model"),) else row
        for row in metrics["rows"]
    ]
    bar = {
        "click": {
            "audio": metrics["bar"]["click"]["audio"],
            "video": {**metrics["bar"]["click"]["video"], "ne_model": 2.0},
        }
    }
    lost = render({**metrics, "rows": rows, "bar": bar}, {}, {})
    assert lost.count('<small class="flag">') == 1
    assert '<span class="flag">1 no better' in lost
    assert "<strong>loses to the slot" in lost


def test_a_page_on_real_logs_speaks_of_no_truth(metrics, page):
    known = any(row["predictor"] == "truth" for row in metrics["rows"])
    visible = re.sub("<script.*?</script>", "", page[1], flags=re.DOTALL)
    assert ("truth" in visible) == known


def test_the_page_is_self_contained_and_free_of_nan(page):
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page[0].images)
    assert not re.search(r"(src|href)=\"(?!data:)", page[1])
    assert set(re.findall(r"https?://[^\"\s]+", page[1])) == {"http://www.w3.org/2000/svg"}
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
    assert ["days", "2026-03-10, 2026-03-11"] in page[0].rows


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
    hostile = {**metrics, "names": dict.fromkeys(SLOTS, "<script>alert(1)</script>")}
    assert "<script>alert" not in render(hostile, {}, {})
    rows = [{**row, "predictor": "</script><b>"} if row["predictor"] == "slot_rate" else row for row in metrics["rows"]]
    assert "</script><b>" not in render({**metrics, "rows": rows}, {}, {})


@pytest.mark.parametrize("columns", [80, 120])
def test_the_terminal_table_fits(metrics, columns):
    console = Console(width=columns, file=io.StringIO())
    console.print(metrics_table(metrics, "click", columns))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert ("ROC-AUC" in console.file.getvalue()) == (columns == 120)
    assert not any("…" in line for line in lines)
    assert sum("base_rate" in line for line in lines) == len(SLOTS) + len(("audio", "video")) + 1


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
