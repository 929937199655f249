"""Counting parameters, and widths that make models equally large."""

from __future__ import annotations

import pytest
import torch

from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.parameters import TOLERANCE, count_parameters, with_matched_parameters
from tests.model.specs import KINDS, MOMENTS, SPEC, config_of


def spec_of(name, **changes):
    return SPEC.model_copy(update={"model": config_of(name).model_copy(update=changes)})


def test_the_count_is_that_of_the_formulas():
    found = count_parameters(Camoe(spec_of("camoe"), MOMENTS))
    assert found.embedding == (6 + 9) * 3
    # The bottom is 2 embeddings of 3, 2 numerics and 2 indicators wide.
    width = 10
    cross, deep, join = 2 * (width * width + width), (width + 1) * 5 + 6 * 4, (width + 4 + 1) * 4
    gate, tower = (width + 1) * 3, (4 + 1) * 3 + 4
    assert found.rest == 3 * (cross + deep + join) + 2 * (gate + tower)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "logistic"])
def test_any_kind_is_made_as_large_as_asked(name):
    wanted = 20_000
    spec = with_matched_parameters(spec_of(name, match_parameters=wanted, embedding_dim=8))
    assert spec.model.match_parameters is None
    with torch.device("meta"):
        found = count_parameters(Camoe(spec, MOMENTS))
    assert abs(found.rest - wanted) <= TOLERANCE * wanted


def test_without_a_wish_the_widths_stay():
    assert with_matched_parameters(SPEC) is SPEC


def test_a_number_that_no_widths_give_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="no widths give 100 parameters beside the embeddings, the nearest are"):
        with_matched_parameters(spec_of("camoe", match_parameters=100))


def test_a_model_without_widths_is_refused():
    with pytest.raises(ConfigError, match="no widths give 20,000 parameters beside the embeddings, the nearest are"):
        with_matched_parameters(spec_of("logistic", match_parameters=20_000))
