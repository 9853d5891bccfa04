"""Job: the arena. Fits the cheap models, puts the members beside them, chooses on selection, writes the artifact."""

import logging
import shutil
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from lifecycle.artifact import ARTIFACT_KIND, LLAMA, Settings, load_artifact
from lifecycle.config import Config
from lifecycle.events import DATA_KIND, read_items
from lifecycle.features import FEATURES
from lifecycle.folders import fingerprint, is_complete, new_folder, read_manifest, write_json
from lifecycle.jobs import run_job
from lifecycle.member import read_member
from lifecycle.prompts import PROMPT_VERSION
from lifecycle.recommend.retrieval import Retriever, save_retriever
from lifecycle.segments import fit_thresholds
from lifecycle.value.baselines import LIGHTGBM_FILE, Btyd, save_btyd
from lifecycle.value.clv import ClvSettings, customer_values, fit_cost_rates
from training.arena_rank import (
    Basket,
    cheap_rankings,
    fit_candidates,
    next_baskets,
    purchase_shards,
    ranking_groups,
    rankings_frame,
    rerank_rankings,
)
from training.arena_value import (
    CHEAP_MODELS,
    Entry,
    ExampleSets,
    cheap_entries,
    choose_champion,
    fine_tuning_verdict,
    judge,
    predictions_frame,
    read_example_sets,
)
from training.inference import HiddenActor, llama_spend, map_rows
from training.prepare import EXAMPLES_KIND, read_dataset
from training.report import write_report

logger = logging.getLogger(__name__)
SAMPLED = "@sample"


class EvaluateConfig(Config):
    """Recipe of `python -m training.evaluate`."""

    data: Path
    examples: Path
    members: dict[str, Path] = {}
    models: tuple[str, ...] = (*CHEAP_MODELS, "popularity", "personal_frequency", "text_llama_rerank")
    clv: ClvSettings = ClvSettings()
    rerank_customers: int = Field(200, ge=1)  # the seeded sample for costly rankers
    num_candidates: int = Field(30, ge=20)  # that LLaMA re-ranks
    exclude_seen: bool = False
    base_model: str | None = None  # that re-ranks; None: the member's
    attention: str = "eager"
    untrained_customers: int = Field(200, ge=0)  # seeded sample for the untrained comparison; 0 leaves it out
    probe_rows: int = Field(400, ge=20)  # training rows of the linear probe on the untrained model
    score_budget_customers_per_second: float | None = Field(None, gt=0)
    num_resamples: int = Field(300, ge=20)
    num_workers: int = Field(2, ge=1)
    seed: int = 0
    output: Path


def evaluate(config: EvaluateConfig) -> None:
    """Write metrics.json, predictions.parquet, rankings.parquet, report.html and artifact/."""
    data, examples = read_manifest(config.data, DATA_KIND), read_manifest(config.examples, EXAMPLES_KIND)
    dataset = read_dataset(config.examples)
    if dataset["data_identity"] != data["identity"]:
        raise ValueError(f"examples {config.examples} were prepared from other data than {config.data}; prepare again")
    if dataset["split"] != "time":
        raise ValueError(f"examples {config.examples} have split {dataset['split']!r}; the arena needs split: time")
    members = {name: _checked_member(name, folder, examples) for name, folder in config.members.items()}
    identity = fingerprint([config.model_dump(mode="json", exclude={"output", "data", "examples", "members"}),
                            data["identity"], examples["identity"], {n: m["identity"] for n, m in members.items()}])  # fmt: skip
    if is_complete(config.output / "artifact", ARTIFACT_KIND, identity):
        logger.info("%s is complete already", config.output / "artifact")
        return
    config.output.mkdir(parents=True, exist_ok=True)
    config.save(config.output / "evaluate.yaml")
    Arena(config, data, dataset, members, identity).run()


def _checked_member(name: str, folder: Path, examples: dict[str, object]) -> dict[str, object]:
    if name != LLAMA:
        raise ValueError(f"members.{name}: the members this version can judge are: {LLAMA}")
    manifest = read_member(folder)
    if manifest["dataset"] != examples["identity"]:
        raise ValueError(f"members.{name}: {folder} was trained on other examples; train it on these")
    return manifest


class Arena:
    """One evaluation; holds what its steps share."""

    def __init__(
        self,
        config: EvaluateConfig,
        data: dict[str, object],
        dataset: dict[str, object],
        members: dict[str, dict[str, object]],
        identity: str,
    ) -> None:
        self.config, self.data, self.dataset, self.members, self.identity = config, data, dataset, members, identity
        self.items = read_items(config.data)
        self.cutoff = datetime.combine(date.fromisoformat(str(dataset["test_cutoff"])), datetime.min.time(), UTC)
        self.sets: ExampleSets = read_example_sets(config.examples, int(str(dataset["horizon_days"])))
        self.base_model = config.base_model or self._member_base_model()

    def _member_base_model(self) -> str | None:
        base = self.members[LLAMA]["base_model"] if LLAMA in self.members else None
        return str(base["path"]) if isinstance(base, dict) else None

    def run(self) -> None:
        """All steps; files that people read are written before the artifact, which is written last."""
        entries, btyd, trees = cheap_entries(self.sets, self.config.models, self.config.seed)
        verdict = None
        if LLAMA in self.members:
            entries[LLAMA] = self._llama_entry()
            if self.config.untrained_customers:
                verdict = self._fine_tuning_verdict(entries[LLAMA].test)
        if not entries:
            raise ValueError(f"no value model could be fitted; models are {self.config.models}")
        judge(entries, self.sets, self.config.num_resamples, self.config.seed)
        champion, selection = choose_champion(entries, self.sets, self.config.score_budget_customers_per_second)
        logger.info("champion: %s", champion)
        rankings, groups, retriever = self._rank()
        recommender = self._choose_recommender()
        metrics = {
            "cutoff": str(self.dataset["test_cutoff"]),
            "horizon_days": self.sets.horizon_days,
            "num_customers": self.sets.test.height,
            "champion": champion,
            "models": {name: entry.metrics for name, entry in entries.items()},
            "recommendation": {"next_basket": groups},
            "recommender": recommender,
            "selection": selection,
            "fine_tuning": verdict,
        }
        predictions = predictions_frame(entries, self.sets)
        predictions.write_parquet(self.config.output / "predictions.parquet")
        rankings_frame(rankings, "next_basket").write_parquet(self.config.output / "rankings.parquet")
        write_json(self.config.output / "metrics.json", metrics)
        write_report(self.config.output / "report.html", metrics, predictions, self.sets.test)
        self._write_artifact(entries[champion], champion, str(recommender["model"]), btyd, trees, retriever, metrics)

    def _llama_entry(self) -> Entry:
        prompts = pl.concat([self.sets.selection["prompt"], self.sets.test["prompt"]])
        started_at = time.monotonic()
        predicted = llama_spend(self.config.members[LLAMA], prompts, self.config.num_workers)
        speed = len(predicted) / (time.monotonic() - started_at)
        split = self.sets.selection.height
        return Entry(predicted[:split], predicted[split:], speed)

    def _absolute_base(self) -> str:
        assert self.base_model is not None
        return str(Path(self.base_model).absolute())

    def _fine_tuning_verdict(self, tuned: np.ndarray) -> dict[str, object]:
        generator = np.random.default_rng(self.config.seed)
        size = min(self.config.untrained_customers, self.sets.test.height)
        sample = np.sort(generator.choice(self.sets.test.height, size, replace=False))
        count = min(self.config.probe_rows, self.sets.train.height)
        probe = generator.choice(self.sets.train.height, count, replace=False)
        rows = pl.concat([self.sets.train[probe].select("prompt"), self.sets.test[sample].select("prompt")])
        arguments: dict[str, object] = {
            "base_model": self._absolute_base(),
            "attention": self.config.attention,
            "max_tokens": self.members[LLAMA]["max_tokens"],
        }
        table = map_rows(rows.to_arrow(), HiddenActor, arguments, label="read by the untrained LLaMA",
                         num_workers=self.config.num_workers, block_rows=64)  # fmt: skip
        hidden = np.array(table["hidden"].to_pylist())
        return fine_tuning_verdict(self.sets, sample, tuned, probe, hidden[:count], hidden[count:], self.config.seed)

    def _rank(self) -> tuple[dict[str, pl.DataFrame], dict[str, dict[str, dict[str, float | int | None]]], Retriever]:
        """Rankings of the next basket after the test cutoff, their metrics by group, and the retriever."""
        baskets = next_baskets(purchase_shards(self.config.data), self.cutoff)
        rankings = cheap_rankings(self.config.data, baskets, self.cutoff, exclude_seen=self.config.exclude_seen)
        rankings = {name: ranking for name, ranking in rankings.items() if name in self.config.models}
        retriever = fit_candidates(self.config.data, self.items, self.cutoff)
        if "text_llama_rerank" in self.config.models and self.base_model is not None and baskets:
            sample = self._sample(baskets)
            costly = rerank_rankings(
                self.config.data, self.items, retriever, sample, self.cutoff,
                base_model=self._absolute_base(), attention=self.config.attention,
                num_candidates=self.config.num_candidates, num_workers=self.config.num_workers,
                exclude_seen=self.config.exclude_seen,
            )  # fmt: skip
            on_sample = {
                f"{name}{SAMPLED}": ranking.filter(pl.col("customer_id").is_in(sample))
                for name, ranking in rankings.items()
            }
            rankings |= on_sample | {f"retriever{SAMPLED}": costly["retriever"]}
            rankings["text_llama_rerank"] = costly["text_llama_rerank"]
        return rankings, ranking_groups(rankings, baskets, self.items.height), retriever

    def _sample(self, baskets: dict[str, Basket]) -> list[str]:
        customers = sorted(baskets)
        size = min(self.config.rerank_customers, len(customers))
        chosen = np.random.default_rng(self.config.seed).choice(len(customers), size, replace=False)
        return [customers[index] for index in sorted(chosen)]

    def _choose_recommender(self) -> dict[str, object]:
        """The cheap ranker of highest NDCG@20 on the baskets after the selection cutoff, before the test cutoff."""
        selection = self.dataset["selection"]
        assert isinstance(selection, dict)
        cutoff = datetime.combine(date.fromisoformat(str(selection["cutoff"])), datetime.min.time(), UTC)
        baskets = next_baskets(purchase_shards(self.config.data), cutoff)
        rankings = cheap_rankings(self.config.data, baskets, cutoff, exclude_seen=self.config.exclude_seen)
        table = ranking_groups(rankings, baskets, self.items.height)["all"] if baskets else {}
        scores = {name: float(row["ndcg@20"] or 0.0) for name, row in table.items() if name in self.config.models}
        best = max(scores, key=lambda name: scores[name], default="popularity")
        return {"model": best, "rule": "highest ndcg@20 after the selection cutoff", "ndcg@20": scores}

    def _write_artifact(
        self,
        winner: Entry,
        champion: str,
        recommender: str,
        btyd: Btyd | None,
        trees: object,
        retriever: Retriever,
        metrics: dict[str, object],
    ) -> None:
        """Everything serving needs, written under a temporary name and renamed when its manifest is complete."""
        assert winner.intervals is not None
        costs, horizon = fit_cost_rates(self.sets.test), self.sets.horizon_days
        values = customer_values(self.sets.test, winner.test, {}, btyd, costs, self.config.clv, horizon)
        gaps = self.sets.test["mean_gap_days"].drop_nulls()
        settings = Settings(
            champion=champion,
            recommender=recommender,
            horizon_days=horizon,
            currency=str(self.data["currency"]),
            data_end=str(self.data["last_event_at"]),
            median_gap_days=float(np.median(gaps.to_numpy())) if gaps.len() else float(horizon),
            clv=self.config.clv,
            costs=costs,
            thresholds=fit_thresholds(values.clv),
            intervals=winner.intervals,
            num_candidates=self.config.num_candidates,
            exclude_seen=self.config.exclude_seen,
            base_model=self.base_model,
        )
        content: dict[str, object] = {
            "identity": self.identity,
            "champion": champion,
            "recommender": recommender,
            "horizon_days": horizon,
            "clv": self.config.clv.model_dump(),
            "currency": settings.currency,
            "segment_thresholds": vars(settings.thresholds),
            "prompt_version": PROMPT_VERSION,
            "features": list(FEATURES),
            "dataset": read_manifest(self.config.examples, EXAMPLES_KIND)["identity"],
            "base_model": self.members[LLAMA]["base_model"] if LLAMA in self.members else None,
            "metrics": metrics["models"],
        }
        with new_folder(self.config.output / "artifact", ARTIFACT_KIND, content) as folder:
            settings.save(folder)
            self.items.write_parquet(folder / "items.parquet")
            (folder / "retriever").mkdir()
            save_retriever(folder / "retriever", retriever)
            write_json(folder / "metrics.json", metrics)
            if btyd is not None:
                save_btyd(btyd, folder)
            if trees is not None:
                trees.save_model(folder / LIGHTGBM_FILE)  # type: ignore[attr-defined]
            for name, member in self.config.members.items():
                shutil.copytree(member, folder / "members" / name)
        load_artifact(self.config.output / "artifact")
        logger.info("%s written", self.config.output / "artifact")


def main() -> None:
    """Entry point of `python -m training.evaluate`."""
    run_job(EvaluateConfig, "training.evaluate", evaluate)


if __name__ == "__main__":
    main()
