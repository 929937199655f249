"""What the page of a study says beside its claims."""

from pathlib import Path

import numpy as np
import pytest

from camoe.study.compare import Compared, judge
from camoe.study.declared import Base, Claim, Fold, Study, Variant
from camoe.study.run import Done
from camoe.study.statistics import Measured
from camoe.study.tables import markdown

CLAIM = Claim(says="Two are better", better="two", than="one", groups=("all",))


def page(seeds, unfair=()):
    study = Study(
        out=Path("out"), base=Base(config="x"), seeds=seeds, baseline="one", claims={"it": CLAIM},
        variants={name: Variant(title=name) for name in ("one", "two")}, folds={"main": Fold(lake=Path("lake"))},
    )  # fmt: skip
    random = np.random.default_rng(1)
    measured = {
        (name, "all"): {
            "auc_pr": Measured(np.full(len(seeds), level), random.normal(level, 0.01, (len(seeds), 50)), 20)
        }
        for name, level in (("one", 0.2), ("two", 0.4))
    }
    return markdown(Done(study, {}, {}, {}), Compared({}, [], judge(study, measured), measured), {}, "command", unfair)


@pytest.mark.parametrize(("seeds", "warned"), [((1,), True), ((1, 2), False)])
def test_one_seed_says_beside_its_claims_that_the_seeds_part_of_the_error_is_unknown(seeds, warned):
    told = page(seeds).partition("## Claims")[2]
    assert "| Two are better | **holds** |" in told
    assert ("**One seed:** how much seeds differ is not known, so intervals are too narrow" in told) == warned


def test_what_is_not_fair_stands_before_the_claims():
    before = page((1, 2), ["variant one: training.refit is true"]).partition("## Claims")[0]
    assert "**Not fair:** variant one: training.refit is true." in before
    assert "Not fair" not in page((1, 2))
