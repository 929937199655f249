"""Predictions of other systems beside the model's: a column of the training table, and a table of their own."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import log_loss

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.places.counts import CountError
from jobs.compare import main as compare
from jobs.evaluate import main
from tests.evaluation.run import TEST, impressions, table_of, tree, write_run

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark")]


@pytest.fixture(scope="module")
def frame():
    """Two other systems, one worse than the model and one much worse."""
    rows = impressions()
    return rows.assign(target_trees=rows["truth"] ** 1.3, blend=rows["truth"] ** 2)


def configured(out, **blend):
    """The configuration with both as predictors."""
    settings = tree(out)
    others = [
        {"name": "trees", "column": "target_trees"},
        {"name": "blend", "path": str(out / "blend.parquet"), **blend},
    ]
    settings["evaluation"]["predictors"] = others
    (out / "run.yaml").write_text(yaml.safe_dump(settings))
    return ["--config", str(out / "run.yaml")]


def write_blend(out, frame):
    rows = frame[["impression_id", "blend"]].rename(columns={"blend": "p"})
    pq.write_table(table_of(rows), out / "blend.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory, frame):
    out = tmp_path_factory.mktemp("run")
    write_run(out, frame, truth=False, power=1.0)
    write_blend(out, frame)
    return out


def test_they_have_figures_and_differences_and_are_compared_later(run, frame, capsys):
    main(configured(run))
    document = json.loads((run / "report/metrics.json").read_text())
    test = frame[(frame["date"] == TEST) & frame["label_click"].notna()]
    label = test["label_click"].astype(int)
    found = {row["predictor"]: row["ne"] for row in document["rows"] if row["group"] == "all"}
    base = log_loss(label, [label.mean()] * len(label))
    for name, column in (("model", "truth"), ("trees", "target_trees"), ("blend", "blend")):
        assert found[name] == pytest.approx(log_loss(label, test[column]) / base)
    told = {
        item["against"]: item
        for item in document["differences"]
        if (item["group"], item["metric"], item["predictor"]) == ("all", "ne", "model")
    }
    assert told["blend"]["verdict"] == "better"
    assert told["trees"]["value"] == pytest.approx(found["model"] - found["trees"])
    capsys.readouterr()
    compare([*configured(run), "--against-predictor", "blend", "--by", "all"])
    lines = capsys.readouterr().out.splitlines()
    assert "model on 2026-03-05, less " in lines[0]
    (ne,) = [line for line in lines if " ne " in line]
    assert f"{told['blend']['value']:+.4f}" in ne
    assert ne.endswith("better")


def test_one_that_lacks_an_impression_a_column_or_its_table_stops_the_job(run, frame):
    with pytest.raises(InputError, match=r"the table at .*blend.parquet has no column q"):
        main(configured(run, column="q"))
    write_blend(run, frame[frame["impression_id"] != frame[frame["date"] == TEST]["impression_id"].iloc[0]])
    with pytest.raises(CountError, match="predictions with a probability by blend"):
        main(configured(run))
    with pytest.raises(InputError, match=r"there is no table at .*nowhere, of 'blend'; correct its path"):
        main(configured(run, path=str(run / "nowhere")))


def test_a_name_that_is_taken_is_refused(run):
    with pytest.raises(ConfigError, match="the predictor 'truth' is a name that evaluation uses itself"):
        main(configured(run, name="truth"))
