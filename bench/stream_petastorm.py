"""Petastorm's own ways from the same files to tensors: each line of standard input asks for one pass.

python -m bench.stream_petastorm SETTINGS_JSON, then lines as `batched_loader 44`: over so many of the files. Runs in
an environment of its own: Petastorm 0.13.1 opens data sets by an interface that pyarrow has given up.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from petastorm import make_batch_reader
from petastorm.pytorch import BatchedDataLoader, DataLoader
from torch import Tensor

Batch = Mapping[str, Tensor]
LOADERS: Mapping[str, Callable[..., Any]] = {"batched_loader": BatchedDataLoader, "data_loader": DataLoader}


def batches(loader: str, files: Sequence[str], settings: Mapping[str, Any]) -> Iterator[tuple[Tensor, ...]]:
    """Yield categorical int32, numeric float32, labels int64 and slot int64, through the loader's shuffling queue."""
    columns = settings["columns"]
    names = [name for kind in columns.values() for name in kind]
    with make_batch_reader(
        [f"file://{file}" for file in files], schema_fields=names, workers_count=2, num_epochs=1
    ) as reader:
        for batch in LOADERS[loader](
            reader, batch_size=settings["batch"], shuffling_queue_capacity=settings["queue"][loader]
        ):
            categorical, numeric, labels, slot = (
                torch.stack([batch[name] for name in kind], 1) for kind in columns.values()
            )
            labels = torch.nan_to_num(labels, nan=settings["unknown_label"]).to(torch.int64)
            yield categorical, numeric, labels, slot[:, 0].to(torch.int64)


def one_pass(loader: str, files: Sequence[str], settings: Mapping[str, Any]) -> dict[str, float]:
    """Read the files once; the rows that came, and the seconds of the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    rows = sum(len(slot) for *_, slot in batches(loader, files, settings))
    return {"rows": rows, "wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def main() -> None:
    """Answer each line of standard input by one line of JSON."""
    settings = json.loads(sys.argv[1])
    # Petastorm prints lines of its own.
    answers, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(json.dumps({"ready": "petastorm"}), file=answers, flush=True)
    for line in sys.stdin:
        loader, number = line.split()
        print(json.dumps(one_pass(loader, settings["files"][: int(number)], settings)), file=answers, flush=True)


if __name__ == "__main__":
    main()
