"""Folders of customer state: refused where they are not those of the artifact and the data that are served."""

from pathlib import Path

import pytest

from lifecycle.events.log_position import LogPosition
from lifecycle.events.shards import DataManifest
from lifecycle.state.files import check_made_for, read_state_manifest
from tests.builders import CUTOFF, rewrite_manifest
from tests.lifecycle.state.builders import POSITION, part_of, write_state


def data(identity: str = "data", log: LogPosition | None = POSITION) -> DataManifest:
    return DataManifest(
        identity=identity,
        num_shards=1,
        currency="EUR",
        first_event_at=CUTOFF,
        last_event_at=CUTOFF,
        num_events=1,
        num_customers=1,
        usable_attributes=(),
        log=log,
    )


def test_state_of_another_artifact_or_of_other_data_is_refused(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", part_of({"customer_id": "a"}), log=POSITION)

    def check(artifact: str, files: str, of: DataManifest) -> None:
        check_made_for(state, artifact=artifact, artifact_files=files, data=of)

    check("artifact", "files", data())
    for artifact, files in (("other", "files"), ("artifact", "others")):
        with pytest.raises(ValueError, match="state .* was made by another artifact"):
            check(artifact, files, data())
    later = LogPosition(identity="log", sequence=8)
    for other in (data("other"), data(log=later), data(log=None)):
        with pytest.raises(ValueError, match="state .* was made of other data"):
            check("artifact", "files", other)


def test_unknown_format_and_a_folder_of_another_kind_are_refused(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", part_of({"customer_id": "a"}))
    rewrite_manifest(state, format_version=2)
    with pytest.raises(ValueError, match="has format version 2; this is 1"):
        read_state_manifest(state)
    rewrite_manifest(state, format_version=1, kind="scores")
    with pytest.raises(ValueError, match="holds 'scores', not 'state'"):
        read_state_manifest(state)
    with pytest.raises(ValueError, match="does not exist"):
        read_state_manifest(tmp_path / "none")
