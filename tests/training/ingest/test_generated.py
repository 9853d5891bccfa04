"""A hundred exports drawn at random are read as they were drawn; benchmarks.ingest_generated reads more of them."""

from pathlib import Path

import pytest

from benchmarks.harness.generated_exports.export import drawn_export
from benchmarks.harness.generated_exports.oracle import expected_of
from benchmarks.harness.generated_exports.verdict import differences, judged, verdict_of

EXPORTS = 100
PER_TEST = 10
SOUND = 2  # a seed whose export is read rightly


@pytest.mark.integration
@pytest.mark.parametrize("first", range(0, EXPORTS, PER_TEST))
def test_exports_are_read_as_they_were_drawn(first: int) -> None:
    verdicts = [verdict_of(seed) for seed in range(first, first + PER_TEST)]
    wrong = [verdict for verdict in verdicts if verdict.kind not in ("right", "refused")]
    assert not wrong, "\n\n".join(map(str, wrong))


@pytest.mark.integration
def test_a_line_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    export = drawn_export(SOUND, tmp_path)
    assert judged(export).kind == "right"
    expected = expected_of(export)
    expected.lines.pop()
    found = list(differences(expected, export, tmp_path / "data"))
    assert any(line.startswith("unexpected line (1 in all)") for line in found)


@pytest.mark.integration
def test_a_seed_draws_the_same_export_again(tmp_path: Path) -> None:
    recipes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        export = drawn_export(SOUND, tmp_path / name)
        recipes.append(export.recipe_file.read_text().replace(f"/{name}/", "/"))
    assert recipes[0] == recipes[1]
