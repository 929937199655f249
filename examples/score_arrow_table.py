"""Score a parquet file of impressions with a model bundle, without Spark and without PyTorch.

python examples/score_arrow_table.py out/synthetic/bundle impressions.parquet predictions.parquet --raw

The file needs the column `slot` and the model's features: encoded, as the training table has them, or with --raw the
value of each feature under the feature's name. Keys such as impression_id and user_id are carried over.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

import camoe


def main() -> None:
    """Load the bundle, score the rows, write the predictions and say what came out."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("bundle", type=Path, help="folder of the bundle that jobs/train.py wrote")
    options.add_argument("impressions", type=Path, help="parquet file to score")
    options.add_argument("predictions", type=Path, help="parquet file to write")
    options.add_argument("--raw", action="store_true", help="the file holds raw feature values, not indices")
    chosen = options.parse_args()

    # Every file of the bundle is checked against its hash; a damaged one is an error.
    predictor = camoe.load(chosen.bundle)
    table = pq.read_table(chosen.impressions)
    rows = predictor.encode(table) if chosen.raw else table

    # A row for each impression and objective that its slot is served with: p_raw of the head, p after calibration.
    predictions = predictor.predict(rows)
    pq.write_table(predictions, chosen.predictions)

    mean = pc.mean(predictions["p"]).as_py()
    print(f"{predictions.num_rows} predictions of {table.num_rows} impressions, mean p {mean:.4f}")
    print(f"model {predictor.model.manifest.model_version}, written to {chosen.predictions}")


if __name__ == "__main__":
    main()
