"""Typed configuration of the stream."""

from __future__ import annotations

from pydantic import Field

from camoe.contracts.config_file import Section
from camoe.contracts.storage import RETRIES
from camoe.stream.planning.mixing import Mixing


class StreamConfig(Section):
    """Settings of how rows reach the workers."""

    lanes: int = Field(default=4, ge=1)
    """Parallel row groups that each slot's rows run through, so a batch mixes that many row groups of every slot; a
    worker holds its share of the lanes in memory, and while it validates, that of the next epoch too."""
    readers: int = Field(default=2, ge=1)
    """Petastorm reader threads a worker."""
    wait_report_s: float = Field(default=30, gt=0)
    """Seconds that a worker waits for a row group before it says for which."""
    retries: int = Field(default=RETRIES, ge=0)
    """Times that a read whose connection to an object store broke is tried again."""
    mixing: Mixing = "proportional"
    """Parts of a batch: `proportional` to the table, or shares, for example
    `{by: modality, of: {audio: 0.5, video: 0.5}}`."""
