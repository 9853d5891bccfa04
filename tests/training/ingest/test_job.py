"""What holds for every ingest, whatever the shop."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.events.shards import shard_paths
from lifecycle.names import BTYD_MODELS
from tests.training.ingest.recipes import LOG, log, recipe, run
from training.ingest.job import ingest
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig


def test_given_and_derived_event_ids_live_together(tmp_path: Path) -> None:
    source = log(
        tmp_path / "a.csv",
        "1,2024-01-01,A,5",
        "1,2024-01-01,A,5",
        "1,2024-01-02,A,5",
        "1,2024-01-02,A,5",
    )
    columns = LOG | {"event_id": {"sql": "CASE WHEN t = '2024-01-02' THEN 'same' END"}}
    events, report = run(recipe(tmp_path / "data", source | {"columns": columns}))
    first, second, third = events["event_id"].to_list()
    assert (second, third) == (f"{first}-1", "same")
    assert report["duplicates"] == {
        "dropped_exact": 0,
        "dropped_same_id": 1,
        "kept_equal": 1,
        "kept_equal_revenue": 5.0,
    }


def test_all_rules_together_balance(tmp_path: Path) -> None:
    random.seed(3)
    lines = [
        f"{random.choice(['1', '2', ''])},2024-01-{random.randint(1, 28):02d},A,{random.choice(['', 1, 2, 3])}"
        for _ in range(300)
    ]
    source = log(
        tmp_path / "a.csv",
        *lines,
        "1,2024-01-01,A,1000000",
        "1,,A,1",
        drop_exact_duplicates=True,
        filter={"no_twos": {"sql": "a <> 2 OR a IS NULL"}},
    )
    events, report = run(recipe(tmp_path / "data", source, outliers={"action": "drop"}))
    dropped = report["rows_dropped"]
    assert isinstance(dropped, dict)
    assert set(dropped) == {
        "filter:no_twos",
        "missing_customer_id",
        "missing_occurred_at",
        "missing_amount",
        "exact_duplicate",
        "outlier",
    }
    assert events["amount"].max() == 3


def test_lines_that_two_files_repeat_in_another_order_of_columns_are_duplicates(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    source = log(folder / "1.csv", "1,2024-01-01,A,1", "2,2024-01-01,A,1")
    (folder / "2.csv").write_text("a,i,t,c\n1,A,2024-01-01,1\n1,B,2024-01-01,1\n")
    events, report = run(
        recipe(tmp_path / "data", source | {"path": str(folder), "drop_exact_duplicates": True})
    )
    assert events.select("customer_id", "item_id").rows() == [("1", "A"), ("1", "B"), ("2", "A")]
    assert report["duplicates"]["dropped_exact"] == 1  # type: ignore[index]


def test_items_that_the_item_table_lacks_are_counted(tmp_path: Path) -> None:
    lines = log(
        tmp_path / "lines.csv",
        "1,2024-01-01,A,1",
        "1,2024-01-02,B,1",
        "2,2024-01-02,B,1",
        "2,2024-01-03,,1",
    )
    (tmp_path / "items.csv").write_text("id,name\nA,lamp\n")
    items = {"path": str(tmp_path / "items.csv"), "columns": {"item_id": "id", "title": "name"}}
    _, report = run(recipe(tmp_path / "data", lines, items=items))
    assert report["unknown_to_catalogue"] == {"items": 1, "lines": 2}


def test_source_without_amounts_says_that_values_cannot_be_learned(tmp_path: Path) -> None:
    source = log(
        tmp_path / "lines.csv", *(f"{n % 70},2024-0{1 + n % 6}-1{n % 9},A,1" for n in range(600))
    )
    source["columns"] = {name: column for name, column in LOG.items() if name != "amount"}
    events, report = run(recipe(tmp_path / "data", source))
    assert events.height == 600
    models = report["models"]
    assert isinstance(models, dict)
    for name in ("persistence", *BTYD_MODELS, "lightgbm", "text_llama"):
        assert models[name] == {
            "supported": False,
            "reason": "needs purchases with an amount: 0 lines",
        }
    with pytest.raises(
        ValueError, match="no purchases or renewals with an amount: .*`amount: 1` .* counts orders"
    ):
        prepare(PrepareConfig(data=tmp_path / "data", output=tmp_path / "examples"))
    source["columns"] |= {"amount": 1}
    counted, _ = run(recipe(tmp_path / "orders", source))
    assert counted["amount"].to_list() == [1.0] * 600
    prepare(PrepareConfig(data=tmp_path / "data", output=tmp_path / "loo", split="leave_one_out"))


def test_same_recipe_twice_gives_the_same_bytes_and_a_complete_folder_is_left_alone(
    tmp_path: Path,
) -> None:
    lines = [
        f"{number % 7},2024-01-{1 + number % 28:02d},{number % 5},{number}" for number in range(200)
    ]
    source = log(tmp_path / "a.csv", *lines)
    first, second = (recipe(tmp_path / name, source) for name in ("one", "two"))
    run(first)
    run(second)
    for one, two in zip(shard_paths(first.output), shard_paths(second.output), strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert (first.output / "quality.json").read_bytes() == (
        second.output / "quality.json"
    ).read_bytes()
    assert (first.output / "items.parquet").read_bytes() == (
        second.output / "items.parquet"
    ).read_bytes()
    changed_at = (first.output / "manifest.json").stat().st_mtime_ns
    ingest(first)
    assert (first.output / "manifest.json").stat().st_mtime_ns == changed_at


def test_batches_do_not_show_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        f"{number % 7}.0,2024-01-{1 + number % 28:02d},{number % 5},{number}"
        for number in range(500)
    ]
    source = log(tmp_path / "a.csv", *lines, "nobody,2024-01-01,A,bad")
    with pytest.raises(ValueError, match="row 501 after the header: amount is 'bad'"):
        ingest(recipe(tmp_path / "bad", source))
    monkeypatch.setattr("training.ingest.tables.batches.BATCH_ROWS", 17)
    with pytest.raises(ValueError, match="row 501 after the header: amount is 'bad'"):
        ingest(recipe(tmp_path / "bad", source))
    small = run(recipe(tmp_path / "small", log(tmp_path / "a.csv", *lines)))
    monkeypatch.setattr("training.ingest.tables.batches.BATCH_ROWS", 500_000)
    large = run(recipe(tmp_path / "large", log(tmp_path / "a.csv", *lines)))
    assert small[0].equals(large[0])
    assert small[1] == large[1]


@pytest.mark.integration
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shuffle=st.randoms(use_true_random=False), num_files=st.integers(1, 3), drop=st.booleans())
def test_order_of_rows_and_files_does_not_matter_at_distinct_times(
    tmp_path_factory: pytest.TempPathFactory, shuffle: random.Random, num_files: int, drop: bool
) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    start = datetime(2024, 1, 1)
    lines = [
        f"{number % 4},{start + timedelta(minutes=number)},{number % 3},{number % 2}"
        for number in range(40)
    ]
    expected, _ = run(recipe(folder / "in_order", log(folder / "all.csv", *lines)))
    shuffle.shuffle(lines)
    parts = folder / "parts"
    parts.mkdir()
    for number in range(num_files):
        log(parts / f"{number}.csv", *lines[number::num_files])
    source = {"path": str(parts), "columns": LOG, "drop_exact_duplicates": drop}
    events, _ = run(recipe(folder / "shuffled", source))
    assert events.equals(expected)


def test_last_lines_say_what_was_left_out_and_what_the_data_do_not_support(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run(recipe(tmp_path / "data", log(tmp_path / "x.csv", "1,2024-01-01,i,5", ",2024-01-02,i,5")))
    assert "1 of 2 rows left out: 1 missing_customer_id" in caplog.text
    learners = "lightgbm, hurdle, ziln, text_llama, sequence_llama"
    assert f"the data do not support {learners}: needs 50 customers, and 1% of all" in caplog.text
