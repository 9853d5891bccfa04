"""When a run ends early."""

import json
from pathlib import Path

import pytest

from training.tasks.recipes.next_item import NextItemRecipe

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


def recipe(output: Path, patience: int | None) -> NextItemRecipe:
    return NextItemRecipe(data=output, examples=output, patience=patience, output=output)


def test_so_many_checkpoints_that_are_no_better_end_a_run_and_one_that_is_starts_anew(
    tmp_path: Path,
) -> None:
    from training.loop.engine import join_group
    from training.loop.patience import Patience

    join_group("cpu")
    patience = Patience(recipe(tmp_path, 2))
    over = []
    for gain in (0.1, 0.1, 0.2, 0.15, 0.2):
        patience.see({"val_loss": 5.0, "val_ndcg": gain})
        over.append(patience.is_over)
    assert over == [False, False, False, False, True]


def test_a_run_that_goes_on_knows_the_checkpoints_before(tmp_path: Path) -> None:
    from training.loop.engine import join_group
    from training.loop.patience import Patience

    join_group("cpu")
    lines = [{"loss": 1.0}, {"val_loss": 1.0, "val_ndcg": 0.3}, {"val_loss": 0.9, "val_ndcg": 0.2}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "progress.jsonl").write_text(text)
    patience = Patience(recipe(tmp_path, 2))
    assert (patience.num_since, patience.is_over) == (1, False)
    without = Patience(recipe(tmp_path, None))
    for _ in range(9):
        without.see({"val_loss": 9.0})
    assert not without.is_over
