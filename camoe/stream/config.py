"""Typed configuration of the stream."""

from __future__ import annotations

from pydantic import Field

from camoe.contracts.config_file import Section
from camoe.contracts.storage import RETRIES
from camoe.stream.planning.mixing import Mixing


class StreamConfig(Section):
    """Settings of how rows reach the workers.

    Each slot's rows run through `lanes` parallel row groups, so a batch mixes `lanes` row groups of every slot;
    a worker holds its share of the lanes in memory, and while it validates, that of the next epoch too. `readers` is
    the number of Petastorm reader threads a worker.
    A worker that waits `wait_report_s` seconds for a row group says for which. A read whose connection to an object
    store broke is tried again `retries` times. `mixing` is `proportional`, or shares, for example
    `{by: modality, of: {audio: 0.5, video: 0.5}}`.
    """

    lanes: int = Field(default=4, ge=1)
    readers: int = Field(default=2, ge=1)
    wait_report_s: float = Field(default=30, gt=0)
    retries: int = Field(default=RETRIES, ge=0)
    mixing: Mixing = "proportional"
