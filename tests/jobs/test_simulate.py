"""The job that holds a market: from a lake's tables to a page, and its messages."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from bench.market.world import world
from camoe.contracts.errors import ConfigError, InputError
from jobs.simulate import main
from tests.jobs.in_process import run_main
from tests.market.written import write_market
from tests.paths import ROOT


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A market's tables, and the configuration of an experiment in it."""
    folder = tmp_path_factory.mktemp("simulate")
    models = write_market(folder, world(1, requests=4_000, users=800))
    settings = yaml.safe_load((ROOT / "conf/markets/default.yaml").read_text())
    settings |= {"market": str(folder), "out": str(folder / "page"), "models": {k: str(v) for k, v in models.items()}}
    settings["experiment"] |= {"control": "poor", "treated": "good", "repeats": 100}
    path = folder / "market.yaml"
    path.write_text(yaml.safe_dump(settings))
    return folder, path


def test_the_job_writes_a_page_and_says_what_the_experiment_can_see(lake, capsys):
    folder, path = lake
    assert run_main(main, path, "rules.ticks=24") == 0
    said = capsys.readouterr().out
    assert "simulate: good against poor, charged per impression, budgets split" in said
    power, _, result = said.partition("simulate: good against poor")
    assert re.search(r"audio  by drawn clicks: a change of the CTR of \+.* % is seen; \+1.40 % takes .* weeks", power)
    assert "truth" in result
    found = json.loads((folder / "page/market.json").read_text())
    assert found["run"]["requests"] == 4_000
    assert (folder / "page/index.html").exists()
    # Twice the same, to the last digit.
    assert run_main(main, path, "rules.ticks=24", f"out={folder / 'again'}") == 0
    assert (folder / "again/market.json").read_bytes() == (folder / "page/market.json").read_bytes()


def test_a_model_that_is_not_there_is_told_with_those_that_are(lake):
    folder, path = lake
    with pytest.raises(ConfigError, match=r"experiment: no model 'god'; .*good"):
        main(["--config", str(path), "experiment.treated=god"])
    with pytest.raises(InputError, match="no market at"):
        main(["--config", str(path), f"market={folder / 'none'}"])
