"""The model that the pipeline trains: a shared bottom that embeds the features, and a body with a logit a head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.model.layers.embedding import JointEmbedding
from camoe.model.layers.scaling import NumericScaling, NumericTransform
from camoe.model.layers.sequence import SequencePooling
from camoe.model.networks.body import make_body
from camoe.model.networks.mixture import MixtureOfExperts
from camoe.model.spec import ModelSpec


class Camoe(nn.Module):
    """CAMoE after Verma, Chen & Mei (KDD 2025), or one of its baselines: all share the bottom and differ in the body.

    `x = [emb(categorical); pool(sequences); scale(numeric)]`, `logits, gates = body(x)`. CAMoE's body is a
    `MixtureOfExperts` whose gates look at `x`.

    Shapes: B rows, C categorical columns, F numerics and the ages of sequences behind them, S the packed sequences'
    words, D the width of `x`, H heads, K experts that a gate weighs. A model over features without sequences needs
    none.
    """

    def __init__(self, spec: ModelSpec, transforms: Sequence[NumericTransform]) -> None:
        super().__init__()
        model = spec.model
        self.embedding = JointEmbedding(
            spec.vocabulary_sizes, model.embedding_dim, spec.hidden_rows, std=model.embedding_scale
        )
        self.categorical_columns = len(spec.features.categorical_columns)
        self.sequences = SequencePooling(spec.features, spec.model.embedding_dim, spec.model.attention_hidden)
        self.scaling = NumericScaling(spec.features.numerics, transforms)
        own = spec.model.input_dropout
        self.dropout = nn.Dropout(spec.model.dropout if own is None else own)
        self.body = make_body(spec.model, spec.bottom_width, len(spec.heads.heads))

    @property
    def numeric_columns(self) -> int:
        """`F`."""
        return self.scaling.inputs + self.sequences.ages_width

    @property
    def gate_width(self) -> int:
        """`K`; 0 for a body without gates."""
        return self.body.gate_width

    def bottom(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> Tensor:
        """Return the shared bottom: `[B, C]`, `[B, F]` and `[B, S]` to `[B, D]`.

        Raises:
            ValueError: the features have sequences and none are given. The layers above might not notice: rows are
                filled up with zeros to whole cache lines.
        """
        if sequences is None and self.sequences.columns:
            names = ", ".join(column.name for column in self.sequences.columns)
            raise ValueError(f"the model's features have the sequences {names}, and none are given")
        embedded, ages = self.embedding(categorical), numeric
        if self.sequences.ages_width:
            numeric, ages = torch.split(numeric, [self.scaling.inputs, self.sequences.ages_width], dim=1)
        pooled = [] if sequences is None else self.sequences(self.embedding, sequences, ages, embedded)
        x = torch.cat([embedded, *pooled, self.scaling(numeric)], dim=1)
        dropped: Tensor = self.dropout(x)
        return dropped

    @property
    def members(self) -> tuple[Camoe, ...]:
        """The models of an ensemble; of a single model itself."""
        return (self,)

    def logits(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> Tensor:
        """Return the logits of all heads: `[B, H]`."""
        made: Tensor = self(categorical, numeric, sequences)[0]
        return made

    def own_logits(self, own: Tensor, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> Tensor:
        """Return the logits `[B, H]` of each head on its `own` rows, bool `[B, H]`; on others they may be anything."""
        x = self.bottom(categorical, numeric, sequences)
        made: Tensor = self.body.own_logits(x, own) if isinstance(self.body, MixtureOfExperts) else self.body(x)[0]
        return made

    def head_logits(
        self, heads: Sequence[int], categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return the logits of `heads` alone, `[B]` each."""
        x = self.bottom(categorical, numeric, sequences)
        return tuple(self.body.head_logit(head, x) for head in heads)

    def forward(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return `[B, C]` indices, `[B, F]` raw numerics and `[B, S]` sequences, packed as `Block.sequences` has them,
        to logits `[B, H]` and gate weights `[B, H, K]`."""
        made: tuple[Tensor, Tensor] = self.body(self.bottom(categorical, numeric, sequences))
        return made
