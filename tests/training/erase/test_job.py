"""Folders of a whole shop without erased customers: nothing of them is left, and all later jobs go on."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.erasure.keys import create_keys, read_keys, rotate_keys
from lifecycle.erasure.receipt import ErasureReceipt
from lifecycle.erasure.tombstones import read_tombstones
from lifecycle.events.shards import read_data_manifest, read_shard, shard_paths
from lifecycle.folders import read_manifest, verify
from tests.builders import REPOSITORY, TinyShop
from training.audience.job import audience
from training.audience.recipe import AudienceConfig
from training.erase.folders import Record, record_of
from training.erase.job import erase
from training.erase.recipe import EraseConfig
from training.evaluate.inputs import read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.prepare.sequences import read_sequences
from training.report.arena import write_report
from training.results.arena import Results
from training.results.quality import QualityReport
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)
SECOND = "c250"
PLACES = ("data", "examples", "scores", "state", "arena", "audience")


@dataclass(frozen=True)
class Shop:
    """Copies of all that the jobs left, and the recipe that cleans them."""

    folder: Path
    recipe: EraseConfig
    gone: tuple[str, str]  # the first is named in the report

    def place(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def made(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(tiny_shop.data, folder / "data")
    shutil.copytree(tiny_shop.examples, folder / "examples")
    shutil.copytree(tiny_artifact.parent, folder / "arena")
    score(
        ScoreConfig(
            data=folder / "data",
            artifact=folder / "arena" / "artifact",
            output=folder / "scores",
            state=folder / "state",
            num_workers=1,
        )
    )
    audience(
        AudienceConfig(
            scores=folder / "scores", where="clv > -1e9", output=folder / "audience" / "all.csv"
        )
    )
    test = pl.read_parquet(folder / "examples" / "test.parquet")
    predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    results = Results.read(folder / "arena" / "metrics.json")
    write_report(folder / "arena" / "report.html", results, predictions, test)
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    shutil.copytree(made, folder)
    create_keys(tmp_path / "key.json", NOW)
    customers = Results.read(folder / "arena" / "metrics.json").customers
    assert customers is not None
    gone = (customers.examples[0].customer_id, SECOND)
    recipe = EraseConfig(
        folders=tuple(folder / name for name in PLACES),
        exports=("crm.csv",),
        tombstones=tmp_path / "tombstones.json",
        key=tmp_path / "key.json",
        customers=gone,
        receipts=tmp_path / "receipts",
    )
    return Shop(folder, recipe, gone)


def texts_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """What is written in each file, tables as text."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path, pl.read_parquet(path).select(pl.selectors.string()).write_csv()
        elif path.suffix == ".html":
            page = path.read_text()
            pictures = re.findall(r"base64,([A-Za-z0-9+/=]+)", page)
            yield path, page + "".join(base64.b64decode(each).decode() for each in pictures)
        elif path.is_file():
            yield path, path.read_bytes().decode("latin-1")


def holders(folder: Path, customer_id: str) -> list[Path]:
    """Files that have the id as a word."""
    word = re.compile(rf"(?<![\w-]){customer_id}(?![\w-])")
    found = [path for path, text in texts_of(folder) if word.search(text)]
    # Compressed bytes and numbers may hold any three of them.
    return [path for path in found if path.suffix not in (".npy", ".txt")]


def test_nothing_of_the_erased_is_left_and_the_others_stay(shop: Shop) -> None:
    data, examples = shop.place("data"), shop.place("examples")
    before = {name: record_of(shop.place(name)).identity for name in ("data", "examples", "scores")}
    events = pl.concat([read_shard(path) for path in shard_paths(data)])
    theirs = events.filter(pl.col("customer_id").is_in(shop.gone))
    manifest = read_data_manifest(data)
    known = read_sequences(examples / "sequences").known
    assert all(holders(shop.place(name), shop.gone[0]) for name in PLACES)
    erase(shop.recipe)
    for customer in shop.gone:
        assert not holders(shop.folder, customer)
    for name, kind in (("data", "data"), ("examples", "examples"), ("scores", "scores")):
        verify(shop.place(name), kind)
        record = read_manifest(shop.place(name), kind, Record)
        assert (record.identity, record.erasure and record.erasure.generation) == (before[name], 1)
    verify(examples / "backtest", "examples")
    after = read_data_manifest(data)
    assert after.num_events == manifest.num_events - theirs.height
    assert after.num_customers == manifest.num_customers - 2
    assert after.last_event_at == manifest.last_event_at
    left = pl.concat([read_shard(path) for path in shard_paths(data)])
    assert left.equals(events.filter(~pl.col("customer_id").is_in(shop.gone)))
    report = QualityReport.model_validate_json((data / "quality.json").read_bytes())
    assert report.account.dropped["erased"].rows == theirs.height == report.rows_dropped["erased"]
    assert report.account.kept.rows == report.num_events == after.num_events
    others = read_sequences(examples / "sequences").known
    assert not set(shop.gone) & set(others.customer_ids)
    for place in (0, len(others.customer_ids) - 1):
        old = known.customer_ids.to_list().index(others.customer_ids[place])
        assert (others.at[slice(*others.starts[place : place + 2])]
                == known.at[slice(*known.starts[old : old + 2])]).all()  # fmt: skip
    told = json.loads((examples / "dataset.json").read_text())
    assert told["num_rows"]["test"] == pl.read_parquet(examples / "test.parquet").height


def test_receipt_names_places_models_and_exports(shop: Shop, tiny_shop: TinyShop) -> None:
    shutil.copy(shop.place("audience") / "all.csv", shop.folder / "mail.csv")
    erase(shop.recipe.model_copy(update={"models": (shop.folder,)}))
    key = read_keys(shop.recipe.key or Path()).newest
    files = sorted(path.stem for path in shop.recipe.receipts.iterdir())
    assert files == sorted(key.hash_of(customer) for customer in shop.gone)
    path = shop.recipe.receipts / f"{key.hash_of(shop.gone[0])}.json"
    receipt = ErasureReceipt.model_validate_json(path.read_bytes())
    assert receipt.key == key.id
    assert receipt.pending == (f"{shop.folder / 'mail.csv'}: 1 rows",)
    assert receipt.deleted[str(shop.place("scores"))] >= 1
    assert set(receipt.deleted) == {str(folder) for folder in shop.recipe.folders}
    assert [one.split(" (")[0] for one in receipt.trained] == [
        f"artifact {shop.place('arena') / 'artifact'}"
    ]
    assert receipt.exports == (str(tiny_shop.lines), "crm.csv")
    assert shop.gone[0] not in {word for word in re.split(r"\W", path.read_text())}


def test_later_jobs_go_on_and_refuse_what_is_older(shop: Shop) -> None:
    data, examples = shop.place("data"), shop.place("examples")
    old = shop.folder / "old"
    evaluate = EvaluateConfig(data=data, examples=examples, output=shop.folder / "anew")
    scoring = {"artifact": shop.place("arena") / "artifact", "num_workers": 1}
    before = read_inputs(evaluate).identity
    erase(shop.recipe)
    assert read_inputs(evaluate).identity == before
    shutil.copytree(data, old)
    rotate_keys(shop.recipe.key or Path(), NOW)
    erase(shop.recipe.model_copy(update={"customers": ("c8",)}))
    assert record_of(data).erasure.generation == 2  # type: ignore[union-attr]
    again = ScoreConfig(data=data, output=shop.folder / "scores-anew", **scoring)  # type: ignore[arg-type]
    score(again)
    assert not holders(shop.folder / "scores-anew", "c8")
    prepare(PrepareConfig(data=data, output=shop.folder / "examples-anew", horizon_days=60))
    refused = "1 erased customers may still be in it; run python -m training.erase"
    with pytest.raises(ValueError, match=refused):
        prepare(PrepareConfig(data=old, output=shop.folder / "x"))
    with pytest.raises(ValueError, match=refused):
        score(ScoreConfig(data=old, output=shop.folder / "x", **scoring))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=refused):
        read_inputs(evaluate.model_copy(update={"data": old}))
    os.remove(shop.recipe.key or Path())
    for job in (lambda: score(again), lambda: read_inputs(evaluate)):
        with pytest.raises(ValueError, match="erasure key .* does not exist"):
            job()


def test_run_that_was_cut_short_goes_on(shop: Shop) -> None:
    data, examples = shop.place("data"), shop.place("examples")
    table = (examples / "val.parquet").read_bytes()
    (examples / "val.parquet").write_bytes(table[:-9])
    with pytest.raises(ValueError, match=r"examples/val.parquet cannot be read"):
        erase(shop.recipe)
    (examples / "val.parquet").write_bytes(table)
    assert not holders(data, shop.gone[0]) and holders(examples, shop.gone[0])
    verify(examples, "examples")
    with pytest.raises(ValueError, match="2 erased customers may still be in it"):
        read_inputs(EvaluateConfig(data=data, examples=examples, output=shop.folder / "x"))
    erase(shop.recipe)
    assert not holders(shop.folder, shop.gone[0])
    assert read_tombstones(shop.recipe.tombstones).generation == 1
    receipts = [*shop.recipe.receipts.iterdir()]
    assert all(str(data) in path.read_text() for path in receipts)


@pytest.mark.thorough
def test_each_folder_is_whole_whenever_a_run_is_killed(shop: Shop) -> None:
    recipe = shop.folder.parent / "erase.yaml"
    shop.recipe.save(recipe)
    command = [sys.executable, "-m", "training.erase", "--config", str(recipe)]
    kinds = {"data": "data", "examples": "examples", "scores": "scores"}
    for seconds in np.linspace(0.5, 8.0, 12):
        with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        for name, kind in kinds.items():
            verify(shop.place(name), kind)
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True).returncode == 0
    assert not holders(shop.folder, shop.gone[0])
    assert {path.name for path in shop.folder.iterdir()} == set(PLACES)
    receipts = [json.loads(path.read_text()) for path in shop.recipe.receipts.iterdir()]
    assert all(len(each["deleted"]) == len(PLACES) for each in receipts)
