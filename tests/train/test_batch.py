"""A batch that grows with the workers, and learning rates that follow it."""

from __future__ import annotations

import re

import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError, TrainingError
from camoe.train.batch import as_overrides, describe_batch, for_workers
from camoe.train.checkpoint.identity import run_settings
from camoe.train.checkpoint.state import require_same
from camoe.train.data.training_inputs import open_training_inputs
from tests.train.pipeline import CONFIG, write_pipeline

RATES = {"learning_rate": 0.003, "embedding_learning_rate": 0.05}
FACTORS = {("none", 1): 1, ("none", 2): 1, ("none", 4): 1, ("sqrt", 1): 1, ("sqrt", 2): 2**0.5, ("sqrt", 4): 2,
           ("linear", 1): 1, ("linear", 2): 2, ("linear", 4): 4}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """A configuration with a batch size of its own, and other rates than the defaults."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "training": CONFIG["training"] | RATES, "out": str(tmp_path)}))
    return path


def overrides(scaling, rows=512):
    return [
        f"training.worker_batch_size={rows}", "training.batch_size=null", f"training.learning_rate_scaling={scaling}"
    ]  # fmt: skip


@pytest.mark.parametrize(("scaling", "workers"), FACTORS)
def test_the_batch_grows_with_the_workers_and_both_rates_by_the_power(path, scaling, workers):
    asked = load(path, Config, overrides(scaling))
    factor = FACTORS[scaling, workers]
    rates = {name: pytest.approx(factor * rate, rel=1e-15) for name, rate in RATES.items()}
    found = for_workers(asked, workers)
    assert found.training.batch_size == 512 * workers
    assert {name: getattr(found.training, name) for name in RATES} == rates
    # As if these numbers had been given in place of the rows of a worker: nothing else differs.
    given = [f"training.{name}={getattr(found.training, name)!r}" for name in ("batch_size", *RATES)]
    assert found == load(path, Config, given)
    assert describe_batch(asked.training, workers) == f"{workers} workers x 512 rows, rates x {factor:.2f}"


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_is_decided_once_holds_for_any_number_of_workers(path, workers):
    """The overrides that all attempts get, and what a worker makes of them."""
    given = overrides("sqrt", 7)
    first = for_workers(load(path, Config, given), 3)
    again = load(path, Config, [*given, *as_overrides(load(path, Config, given).training, 3)])
    assert again == first == for_workers(again, workers)
    assert describe_batch(again.training, workers) == f"{workers} workers, batch 21"


def test_without_rows_of_a_worker_nothing_depends_on_the_workers(path):
    config = load(path, Config)
    assert for_workers(config, 4) == config
    assert as_overrides(config.training, 4) == []


def test_another_number_of_workers_is_another_run_and_the_message_says_what_to_give(tmp_path):
    path = write_pipeline(tmp_path, {"s0": 9, "s1": 9, "s2": 9})
    inputs = open_training_inputs(load(path, Config))

    def settings(workers, *given):
        return run_settings(for_workers(load(path, Config, [*overrides("sqrt", 32), *given]), workers), inputs)

    with pytest.raises(TrainingError) as error:
        require_same(path, settings(2), settings(1))
    message = str(error.value)
    names = ("batch_size", "embedding_learning_rate", "learning_rate")
    was = [re.search(rf"training\.{name} was (\S+) and is ", message)[1] for name in names]
    given = [f"training.{name}={value}" for name, value in zip(names, was, strict=True)]
    told = re.findall(r"training\.[a-z_]+=[a-z]+", message)
    assert (given[0], told) == (
        "training.batch_size=64", ["training.worker_batch_size=null", "training.learning_rate_scaling=none"]
    )  # fmt: skip
    require_same(path, settings(2), settings(1, *given, *told))
    require_same(path, settings(2), settings(2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["training.worker_batch_size=512"], "worker_batch_size and batch_size both say how many rows a batch has"),
        (["training.learning_rate_scaling=sqrt"], "learning_rate_scaling needs worker_batch_size: a batch_size"),
        (["training.worker_batch_size=0", "training.batch_size=null"], "'training.worker_batch_size': Input should"),
    ],
)
def test_two_sizes_and_rates_that_have_nothing_to_follow_are_refused(path, given, message):
    with pytest.raises(ConfigError, match=message):
        load(path, Config, given)
