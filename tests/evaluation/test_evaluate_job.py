"""The evaluation job over tiny Delta tables."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib.metadata import version

import numpy as np
import pytest
from deltalake import write_deltalake
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from camoe.contracts.errors import BundleError, InputError
from camoe.contracts.places.counts import CountError
from jobs.evaluate import main
from jobs.maintain import main as maintain
from tests.evaluation.run import (
    COUNTRIES,
    FIRST,
    PARTITIONS,
    TEST,
    TRAINED,
    VERSION,
    impressions,
    predicted,
    table_of,
    write_bundle,
    write_run,
    write_truth,
)
from tests.waiting import wait_until

ROUNDING = 1e-9

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark")]


@pytest.fixture(scope="module")
def frame():
    return impressions()


@pytest.fixture(scope="module")
def run(tmp_path_factory, frame):
    out = tmp_path_factory.mktemp("run")
    write_run(out, frame, truth=True, power=1.1)
    return out


@pytest.fixture(scope="module")
def bare_run(tmp_path_factory, frame):
    """A run without truth, whose model was not recalibrated."""
    out = tmp_path_factory.mktemp("bare")
    write_run(out, frame, truth=False, power=1.0)
    return out


@pytest.fixture(scope="module")
def document(run):
    main(["--config", str(run / "run.yaml")])
    return json.loads((run / "report/metrics.json").read_text(), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def test_day(frame):
    rows = frame[frame["date"] == TEST]
    return rows[rows["label_click"].notna()].assign(y=lambda known: known["label_click"].astype(int))


def _row(document, group, predictor):
    (row,) = [row for row in document["rows"] if (row["group"], row["predictor"]) == (group, predictor)]
    return row


@pytest.mark.parametrize("group", ["a1", "v1", "audio", "video", "all"])
def test_the_models_row_agrees_with_scikit_learn(document, test_day, group):
    rows = test_day if group == "all" else test_day[(test_day["slot"] == group) | (test_day["modality"] == group)]
    found = _row(document, group, "model")
    base = rows["y"].mean()
    assert (found["impressions"], found["clicks"]) == (len(rows), rows["y"].sum())
    precision = average_precision_score(rows["y"], rows["truth"])
    assert found["auc_pr_lower"] - ROUNDING <= precision <= found["auc_pr_upper"] + ROUNDING
    assert found["roc_auc"] == pytest.approx(roc_auc_score(rows["y"], rows["truth"]), abs=2e-3)
    assert found["ne"] == pytest.approx(
        log_loss(rows["y"], rows["truth"]) / log_loss(rows["y"], np.full(len(rows), base))
    )
    assert found["mean_predicted"] == pytest.approx(rows["truth"].mean())
    assert found["observed"] == pytest.approx(base)
    assert found["auc_pr_interval"]["low"] < found["auc_pr"] < found["auc_pr_interval"]["high"]


def test_base_rates_come_from_the_training_days(document, frame):
    known = frame[frame["date"] < TEST][lambda rows: rows["date"] < TEST - (TEST - frame["date"].min()) / 3]
    audio = known[known["modality"] == "audio"]["label_click"].astype(int)
    slot = known[known["slot"] == "a1"]["label_click"].astype(int)
    assert _row(document, "a1", "base_rate")["mean_predicted"] == pytest.approx(audio.mean())
    smoothed = (slot.sum() + audio.mean()) / (len(slot) + 1)
    assert _row(document, "a1", "slot_rate")["mean_predicted"] == pytest.approx(smoothed)


def test_the_bar_places_the_model_between_base_rate_and_truth(document):
    for modality in ("audio", "video"):
        bar = document["bar"]["click"][modality]
        assert bar["gap_closed"] == pytest.approx(1.0)  # the model's p is the true probability here
        assert bar["ne_truth"] == bar["ne_model"] < bar["ne_base"]
        assert bar["auc_model"] > bar["auc_slot_rate"]


def test_the_uncalibrated_model_is_listed_as_it_differs(document):
    assert _row(document, "all", "model_raw")["mean_predicted"] < _row(document, "all", "model")["mean_predicted"]
    paired = [item for item in document["differences"] if (item["group"], item["against"]) == ("all", "truth")]
    assert {(item["value"], item["verdict"]) for item in paired} == {(0.0, "cannot tell")}


def test_a_slot_without_impressions_has_nulls(document):
    row = _row(document, "v2", "model")
    assert (row["impressions"], row["clicks"]) == (0, 0)
    assert {row[name] for name in ("auc_pr", "roc_auc", "ne", "ece", "pcoc", "observed", "ne_interval")} == {None}


def test_the_run_is_described_well_enough_to_repeat_it(document):
    described = document["run"]
    assert (described["model_version"], described["snapshot_version"], described["seed"]) == (VERSION, 0, 1)
    assert described["code_version"].startswith(f"{version('camoe')}, commit ")
    assert len(described["config_hash"]) == 16


def test_the_rows_add_up(document, run, frame, test_day):
    counts = json.loads((run / "counts.json").read_text())["evaluate"]
    predictions = int((frame["date"] == TEST).sum())
    assert counts == {
        "predictions": predictions,
        "found_in_training_table": predictions,
        "truth_joined": predictions,
        "evaluated": len(test_day),
        "label_unknown": predictions - len(test_day),
    }


def test_the_report_is_written_beside_the_numbers(document, run):
    page = (run / "report/index.html").read_text()
    assert "<title>CAMoE report" in page
    assert (run / "report/summary.png").read_bytes().startswith(b"\x89PNG")


def test_the_terminal_shows_the_table_and_where_things_are(run, capsys):
    main(["--config", str(run / "run.yaml")])
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if "written" not in line) <= 120
    assert "base_rate" in printed
    assert f"written to {run}/report/index.html" in printed
    assert printed.splitlines()[-1] == f"next:  open {run}/report/index.html in a browser"


def test_a_model_is_held_against_another_whose_states_are_kept(run, document, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(run, out)
    job = ["--config", str(run / "run.yaml"), f"out={out}"]
    with pytest.raises(InputError, match=r"no states of model m0 on 2026-03-05 .* jobs/evaluate.py .* with --model m0"):
        main([*job, "--against", "m0"])
    main([*job, "--model", "m0", "--against", f"{VERSION},{out / 'bundle'}"])
    written = json.loads((out / "report/metrics.json").read_text())
    described = written["run"]
    assert (described["model_version"], described["against"], described["replaces"]) == ("m0", [VERSION], VERSION)
    told = {(item["group"], item["metric"]): item for item in written["differences"] if item["against"] == VERSION}
    whole = told["all", "ne"]
    assert whole["value"] > whole["interval"]["low"] > 0
    assert (whole["verdict"], told["v2", "ne"]["verdict"]) == ("worse", "cannot tell")
    assert told["c", "ne"]["group_kind"] == "campaign_id"
    champion = next(row for row in written["champions"] if row["group"] == "all")
    before = _row(document, "all", "model")
    assert champion["model_version"] == VERSION
    assert champion["ne"] == pytest.approx(before["ne"])
    assert champion["ne_interval"] == pytest.approx(before["ne_interval"])
    assert f"evaluate: click against {VERSION}, NE by all: 1 worse (all)" in capsys.readouterr().out


def test_fields_are_groups(document):
    whole = _row(document, "all", "model")
    seen = [row for row in document["rows"] if (row["group_kind"], row["predictor"]) == ("user_seen", "model")]
    assert sum(row["impressions"] for row in seen) == whole["impressions"]
    assert _row(document, "seen in training", "model")["auc_pr_interval"] is not None
    campaign = _row(document, "c", "model")
    assert (campaign["impressions"], campaign["auc_pr"], campaign["ece"]) == (whole["impressions"], None, None)
    assert campaign["ne"] == pytest.approx(whole["ne"])
    (summary,) = [one for one in document["fields"] if one["field"] == "campaign_id"]
    assert (summary["groups"], summary["impressions"]) == (1, whole["impressions"])
    assert summary["error"] == pytest.approx(abs(whole["mean_predicted"] - whole["observed"]))


def test_values_of_a_categorical_field_are_named(document, test_day):
    found = [row for row in document["rows"] if (row["group_kind"], row["predictor"]) == ("country", "model")]
    named = dict(enumerate(("(none)", "(not in the vocabulary)", *COUNTRIES)))
    rows = test_day.groupby(test_day["cat_country"].map(named))["y"].agg(["size", "sum"])
    told = {row["group"]: [row["impressions"], row["clicks"]] for row in found}
    assert told == dict(zip(rows.index, rows.to_numpy().tolist(), strict=True))


@pytest.mark.slow
def test_without_truth_and_recalibration_those_predictors_are_left_out(bare_run):
    main(["--config", str(bare_run / "run.yaml")])
    written = json.loads((bare_run / "report/metrics.json").read_text())
    assert {row["predictor"] for row in written["rows"]} == {"base_rate", "slot_rate", "model"}
    assert written["bar"]["click"]["audio"]["gap_closed"] is None


def test_a_truth_that_lacks_an_impression_stops_the_job(bare_run, tmp_path, frame):
    out = tmp_path / "short"
    shutil.copytree(bare_run, out, ignore=shutil.ignore_patterns("report"))
    write_truth(out, frame.iloc[:-1])
    with pytest.raises(CountError, match="by truth"):
        main(["--config", str(bare_run / "run.yaml"), f"out={out}"])
    assert not (out / "report").exists()


@pytest.mark.slow
def test_the_truth_of_another_lake_is_left_alone(run, tmp_path):
    out = tmp_path / "other"
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("report"))
    main(["--config", str(run / "run.yaml"), f"out={out}", f"input={tmp_path}"])
    written = json.loads((out / "report/metrics.json").read_text())
    assert "truth" not in {row["predictor"] for row in written["rows"]}


@pytest.mark.slow
def test_what_others_write_and_vacuum_meanwhile_changes_nothing(run, document, tmp_path, frame):
    out = tmp_path / "out"
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("report"))
    manifest = out / "bundle/manifest.json"
    manifest.write_text(manifest.read_text().replace('"table_version": 0', '"table_version": 1'))
    for file in (out / "predictions").rglob("model_version=m0/*.parquet"):
        file.write_bytes(b"no parquet, and of another model")

    def score_again_and_vacuum():
        wait_until(lambda: len(list((out / "pins").glob("evaluate-*.json"))) == 2, 60)
        other = table_of(predicted(frame, 1.1).assign(p=0.5, snapshot_version=1))
        scored = {"predicate": f"model_version = '{VERSION}'", "mode": "overwrite"}
        write_deltalake(out / "predictions", other, partition_by=[*PARTITIONS, "model_version"], **scored)
        vacuum = ["vacuum", "--config", str(run / "run.yaml"), f"out={out}", "--retain", "0s", "--force", "--delete"]
        time.sleep(0.01)
        maintain(vacuum)

    with ThreadPoolExecutor(1) as pool:
        meanwhile = pool.submit(score_again_and_vacuum)
        main(["--config", str(run / "run.yaml"), f"out={out}"])
        meanwhile.result()

    def entropies(of):
        return [row["ne"] for row in of["rows"] if row["predictor"] == "model" and row["ne"] is not None]

    def found():
        return json.loads((out / "report/metrics.json").read_text())

    assert found()["counts"] == document["counts"]
    assert entropies(found()) == pytest.approx(entropies(document))
    assert not list((out / "pins").iterdir())
    main(["--config", str(run / "run.yaml"), f"out={out}"])
    assert found()["run"]["snapshot_version"] == 1
    assert entropies(found()) != pytest.approx(entropies(document))


@pytest.mark.slow
def test_a_modality_without_training_labels_has_the_rate_of_all(tmp_path, frame):
    early = frame["date"] < TEST - timedelta(days=1)
    late_video = frame[~(early & (frame["slot"] == "v1"))]
    write_run(tmp_path, late_video, truth=False, power=1.0)
    main(["--config", str(tmp_path / "run.yaml")])
    document = json.loads((tmp_path / "report/metrics.json").read_text())
    rate = late_video[late_video["date"] < TEST - timedelta(days=1)]["label_click"].astype(int).mean()
    for predictor in ("base_rate", "slot_rate"):
        assert _row(document, "video", predictor)["mean_predicted"] == pytest.approx(rate)
    assert _row(document, "video", "base_rate")["impressions"] > 0


def test_training_days_without_a_label_are_named(tmp_path, frame):
    immature = frame.assign(label_click=frame["label_click"].where(frame["date"] == TEST))
    write_run(tmp_path, immature, truth=False, power=1.0)
    with pytest.raises(InputError, match=rf"training days {FIRST} to .* known label for click.*build_features.py"):
        main(["--config", str(tmp_path / "run.yaml")])


def test_a_table_without_the_label_names_it(bare_run, tmp_path, frame):
    out = tmp_path / "unlabelled"
    shutil.copytree(bare_run, out, ignore=shutil.ignore_patterns("report", "training"))
    write_deltalake(out / "training", table_of(frame[TRAINED]))
    with pytest.raises(InputError, match=r"training has no column label_click; run .*build_features.py"):
        main(["--config", str(bare_run / "run.yaml"), f"out={out}"])


@pytest.mark.parametrize("table", ["predictions", "training", "truth"])
def test_a_damaged_file_is_one_message_that_names_it(run, tmp_path, table):
    out = tmp_path / table
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("report"))
    for file in (out / table).rglob("*.parquet"):
        file.write_bytes(b"not parquet at all, though of some length")
    for checksum in (out / table).rglob(".*.crc"):
        checksum.unlink()
    with pytest.raises(InputError, match=rf"cannot evaluate {out}: .*{table}/.*; .*again") as caught:
        main(["--config", str(run / "run.yaml"), f"out={out}"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b'{"model_ver', b"\xff\xfe\x00", b"[]", b'{"model_version": "m1"}'])
def test_a_damaged_manifest_is_one_message(run, tmp_path, content):
    write_bundle(tmp_path)
    (tmp_path / "bundle/manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest.json is damaged .*train"):
        main(["--config", str(run / "run.yaml"), f"out={tmp_path}"])


def test_a_day_without_predictions_names_the_command(run):
    days = "days.test={first: 2026-03-05, last: 2026-03-06}"
    with pytest.raises(InputError, match=r"2026-03-06 \(click\); run .*jobs/score.py --config"):
        main(["--config", str(run / "run.yaml"), days])


def test_missing_inputs_name_the_command(run, tmp_path):
    with pytest.raises(BundleError, match="train"):
        main(["--config", str(run / "run.yaml"), f"out={tmp_path}"])
    write_bundle(tmp_path)
    with pytest.raises(InputError, match=r"no table at .*predictions; run .*score.py"):
        main(["--config", str(run / "run.yaml"), f"out={tmp_path}"])
