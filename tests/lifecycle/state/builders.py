"""A folder of customer state with made-up answers."""

from pathlib import Path

import polars as pl

from lifecycle.events.log_position import LogPosition
from lifecycle.folders import new_folder, write_manifest
from lifecycle.state.answers import Answer, encoded
from lifecycle.state.files import STATE_KIND, StateManifest, write_answers
from tests.builders import CUTOFF

POSITION = LogPosition(identity="log", sequence=7)


def part_of(*answers: Answer) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": [answer["customer_id"] for answer in answers],
            "answer": [encoded(answer) for answer in answers],
        }
    )


def write_state(folder: Path, *parts: pl.DataFrame, log: LogPosition | None = None) -> Path:
    with new_folder(folder) as unfinished:
        num_customers = write_answers(unfinished, parts)
        manifest = StateManifest(
            identity="state",
            as_of=CUTOFF,
            artifact="artifact",
            artifact_files="files",
            data="data",
            log=log,
            num_customers=num_customers,
        )
        write_manifest(unfinished, STATE_KIND, manifest)
    return folder
