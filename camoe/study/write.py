"""Writes what a study has found: results.md, results.json and a picture for each pair of groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from camoe.contracts.files import atomic_file, write_json, write_text
from camoe.study.compare import compare
from camoe.study.pareto import picture
from camoe.study.run import Done
from camoe.study.tables import document, markdown
from camoe.study.trial import config_of


def write_results(done: Done, command: str, unfair: Sequence[str] = ()) -> tuple[list[Path], dict[str, str]]:
    """Write the results of a finished study; return the files, and by claim what can be said of it.

    `unfair` are lines of `require_sound`.

    Raises:
        StudyError: as `compare` does.
    """
    study, compared = done.study, compare(done)
    slots = config_of(next(iter(done.trials.values())).task).slots.slots
    names = {slot.id: slot.name for slot in slots}
    written = [study.out / "results.json", study.out / "results.md"]
    write_json(written[0], document(done, compared))
    page = markdown(done, compared, names, command, unfair)
    for pair in study.pictures:
        path = study.out / f"pareto_{pair[0]}_{pair[1]}.png"
        with atomic_file(path) as temporary:
            temporary.write_bytes(picture(study, compared, pair, names))
        page += f"\n![{' against '.join(names.get(group, group) for group in pair)}]({path.name})\n"
        written.append(path)
    write_text(written[1], page)
    return written, {judged.claim.says: judged.answer for judged in compared.claims.values()}
