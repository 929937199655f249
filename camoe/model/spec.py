"""What a model is made of besides its weights: enough to build it anew."""

from __future__ import annotations

from camoe.contracts.config_file import Section
from camoe.contracts.features import FeatureSet
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.model.config import ModelConfig


class ModelSpec(Section):
    """Architecture, features, heads and slots.

    `vocabulary_sizes` holds one embedding size a categorical column of the training table, in order.
    """

    model: ModelConfig
    features: FeatureSet
    heads: HeadSet
    slots: SlotCatalogue
    vocabulary_sizes: tuple[int, ...]
