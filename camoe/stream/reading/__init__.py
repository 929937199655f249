"""Reading row groups with Petastorm, and packing their rows into batches."""

from camoe.stream.reading import old_arrow as old_arrow
