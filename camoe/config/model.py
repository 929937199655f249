"""Typed configuration of the model, a section for each component. Torch-free, so that every job can check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from camoe.contracts.config_file import Section

Width = Annotated[int, Field(ge=1)]
Widths = tuple[Width, ...]
Hidden = Annotated[Widths, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Scale = Annotated[float, Field(ge=0)]


def scaled_width(width: int, factor: float) -> int:
    """Return `width` times `factor`, rounded, at least one."""
    return max(1, round(width * factor))


def scaled_widths(widths: Widths, factor: float) -> Widths:
    """Return each of `widths` times `factor`, rounded, at least one."""
    return tuple(scaled_width(width, factor) for width in widths)


class DcnConfig(Section):
    """A DCN-v2 network: crosses and a deep network (Wang et al., 2021)."""

    kind: Literal["dcn"] = "dcn"
    """Kind of the network."""
    structure: Literal["parallel", "stacked"] = "parallel"
    """`parallel`: crosses and deep network side by side over the input; `stacked`: the deep network over the
    crosses."""
    cross_layers: Width = 2
    """Cross layers, one after the other."""
    rank: Width | None = None
    """Rank of the crosses' weights; null is full rank."""
    hidden: Hidden = (64, 32)
    """Units of the deep network's hidden layers."""

    def scaled(self, factor: float) -> DcnConfig:
        """Return the same with the rank and the deep network's widths times `factor`."""
        rank = None if self.rank is None else scaled_width(self.rank, factor)
        return self.model_copy(update={"rank": rank, "hidden": scaled_widths(self.hidden, factor)})


class MlpConfig(Section):
    """A plain feed-forward network."""

    kind: Literal["mlp"]
    """Kind of the network."""
    hidden: Hidden = (64, 32)
    """Units of the hidden layers."""

    def scaled(self, factor: float) -> MlpConfig:
        """Return the same with the widths times `factor`."""
        return self.model_copy(update={"hidden": scaled_widths(self.hidden, factor)})


def _kind_or(default: str) -> Discriminator:
    """Choose a section by its `kind`; `default` where none is given."""

    def kind(value: object) -> str:
        found = value.get("kind", default) if isinstance(value, Mapping) else getattr(value, "kind", default)
        return str(found)

    return Discriminator(kind)


ExpertConfig = Annotated[Annotated[DcnConfig, Tag("dcn")] | Annotated[MlpConfig, Tag("mlp")], _kind_or("dcn")]


class CommonConfig(Section):
    """Parts of every model."""

    embedding_dim: Width = 16
    """Numbers of an embedding, one width for all features."""
    embedding_scale: float = Field(default=0.01, gt=0)
    """Standard deviation of the embeddings that training starts from."""
    dropout: Share = 0.0
    """Share of the hidden units that training leaves out of each row."""
    input_dropout: Share | None = None
    """Dropout of the shared bottom, what all else reads; null is `dropout`, as of hidden units."""
    tower_hidden: Widths = (32,)
    """Units of the hidden layers of each head's tower; none is a tower of one layer."""
    attention_hidden: Hidden = (36,)
    """Widths of the activation unit of each sequence that is pooled by attention."""
    match_parameters: int | None = Field(default=None, ge=1)
    """Parameters beside the embeddings that the model is to have, about: all hidden widths and ranks are scaled by one
    factor, so that models can be compared at equal size; null leaves them as they are."""


class CamoeConfig(CommonConfig):
    """CAMoE: experts shared by all heads, mixed by a gate a head."""

    kind: Literal["camoe"] = "camoe"
    """Kind of the model."""
    experts: Width = 4
    """Experts that all heads share."""
    expert: ExpertConfig = DcnConfig()
    """Network of each expert."""
    gate_scale: Scale = 1.0
    """Factor of the gates' first weights: near zero all experts begin with the same part in every head."""

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"CAMoE with {self.experts} {self.expert.kind} experts"

    def scaled(self, factor: float) -> CamoeConfig:
        """Return the same with all hidden widths times `factor`."""
        tower = scaled_widths(self.tower_hidden, factor)
        return self.model_copy(update={"expert": self.expert.scaled(factor), "tower_hidden": tower})


class MmoeConfig(CommonConfig):
    """MMoE: as CAMoE, with plain feed-forward networks for experts."""

    kind: Literal["mmoe"]
    """Kind of the model."""
    experts: Width = 4
    """Experts that all heads share."""
    expert_hidden: Hidden = (64, 32)
    """Units of the hidden layers of each expert."""
    gate_scale: Scale = 1.0
    """Factor of the gates' first weights: near zero all experts begin with the same part in every head."""

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"MMoE with {self.experts} experts"

    def scaled(self, factor: float) -> MmoeConfig:
        """Return the same with all hidden widths times `factor`."""
        expert, tower = (scaled_widths(widths, factor) for widths in (self.expert_hidden, self.tower_hidden))
        return self.model_copy(update={"expert_hidden": expert, "tower_hidden": tower})


class PleConfig(CommonConfig):
    """PLE: extraction layers of experts of each head's own and experts that all share."""

    kind: Literal["ple"]
    """Kind of the model."""
    layers: Width = 1
    """Extraction layers, one after the other."""
    own_experts: Width = 1
    """Experts of each head's own, in each layer."""
    shared_experts: Width = 2
    """Experts that all heads share, in each layer."""
    expert: ExpertConfig = MlpConfig(kind="mlp")
    """Network of each expert."""
    gate_scale: Scale = 1.0
    """Factor of the gates' first weights: near zero all experts begin with the same part in every head."""

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"PLE with {self.layers} layer(s) of {self.own_experts} own and {self.shared_experts} shared experts"

    def scaled(self, factor: float) -> PleConfig:
        """Return the same with all hidden widths times `factor`."""
        tower = scaled_widths(self.tower_hidden, factor)
        return self.model_copy(update={"expert": self.expert.scaled(factor), "tower_hidden": tower})


class SharedBottomConfig(CommonConfig):
    """A feed-forward network that all heads share.

    With no `hidden` layers, and no `tower_hidden`, every head is a logistic regression on the embeddings and numerics.
    """

    kind: Literal["shared_bottom"]
    """Kind of the model."""
    hidden: Widths = (128, 64)
    """Units of the hidden layers of the network that all heads share."""

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return "shared-bottom network" if self.hidden or self.tower_hidden else "logistic regression"

    def scaled(self, factor: float) -> SharedBottomConfig:
        """Return the same with all hidden widths times `factor`."""
        hidden, tower = (scaled_widths(widths, factor) for widths in (self.hidden, self.tower_hidden))
        return self.model_copy(update={"hidden": hidden, "tower_hidden": tower})


class DcnModelConfig(CommonConfig):
    """One DCN-v2 network that all heads share; with conf/heads/single.yaml and no tower it is DCN-v2 itself."""

    kind: Literal["dcn"]
    """Kind of the model."""
    network: DcnConfig = DcnConfig()
    """Network that all heads share."""
    tower_hidden: Widths = ()
    """Units of the hidden layers of each head's tower; none is a tower of one layer."""

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return "DCN-v2"

    def scaled(self, factor: float) -> DcnModelConfig:
        """Return the same with all hidden widths times `factor`."""
        tower = scaled_widths(self.tower_hidden, factor)
        return self.model_copy(update={"network": self.network.scaled(factor), "tower_hidden": tower})


ModelConfig = Annotated[
    Annotated[CamoeConfig, Tag("camoe")]
    | Annotated[MmoeConfig, Tag("mmoe")]
    | Annotated[PleConfig, Tag("ple")]
    | Annotated[SharedBottomConfig, Tag("shared_bottom")]
    | Annotated[DcnModelConfig, Tag("dcn")],
    _kind_or("camoe"),
]
