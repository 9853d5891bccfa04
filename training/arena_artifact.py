"""Writing the artifact: everything that serving and scoring need, under a temporary name and renamed when complete."""

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from lifecycle.artifact import ARTIFACT_KIND, RETRIEVER_FOLDER, Settings, load_artifact
from lifecycle.features import FEATURES
from lifecycle.folders import new_folder, write_json
from lifecycle.member import LLAMA
from lifecycle.prompts import PROMPT_VERSION
from lifecycle.recommend.retrieval import Retriever, fit_retriever, save_retriever
from lifecycle.segments import fit_thresholds
from lifecycle.value.baselines import LIGHTGBM_FILE, save_btyd, spreading_btyd
from lifecycle.value.clv import buyer_behaviour, customer_values, fit_cost_rates
from lifecycle.value.hurdle import save_hurdle
from lifecycle.value.prospects import ProspectRates
from lifecycle.value.stack import save_stack
from training.arena_cheap import Fitted
from training.arena_entries import Entry
from training.arena_inputs import Inputs
from training.arena_tasks import purchase_shards

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What the arena decided."""

    champion: str
    winner: Entry
    churn: str | None
    recommender: str | None
    prospects: ProspectRates | None


def write_artifact(
    inputs: Inputs, test: pl.DataFrame, choice: Choice, fitted: Fitted, metrics: dict[str, object]
) -> None:
    """Write `<output>/artifact` and load it once, so that one that cannot be served is never left behind silently."""
    settings = _settings(inputs, test, choice, fitted)
    content: dict[str, object] = {
        "identity": inputs.identity,
        "champion": choice.champion,
        "recommender": choice.recommender,
        "horizon_days": inputs.horizon_days,
        "clv": inputs.config.clv.model_dump(),
        "currency": settings.currency,
        "segment_thresholds": vars(settings.thresholds),
        "prompt_version": PROMPT_VERSION,
        "features": list(FEATURES),
        "dataset": inputs.examples["identity"],
        "base_model": inputs.members[LLAMA]["base_model"] if LLAMA in inputs.members else None,
        "metrics": metrics["models"],
    }
    with new_folder(inputs.config.output / "artifact", ARTIFACT_KIND, content) as folder:
        settings.save(folder)
        inputs.items.write_parquet(folder / "items.parquet")
        write_json(folder / "metrics.json", metrics)
        if not inputs.items.is_empty():
            (folder / RETRIEVER_FOLDER).mkdir()
            save_retriever(folder / RETRIEVER_FOLDER, _retriever_of_today(inputs))
        if fitted.btyd_models:
            save_btyd(fitted.btyd_models, folder)
        if fitted.hurdle is not None:
            save_hurdle(fitted.hurdle, folder)
        if fitted.ziln is not None:
            from lifecycle.value.dense_ziln import save_dense_ziln

            save_dense_ziln(fitted.ziln, folder)
        if fitted.stack is not None:
            save_stack(fitted.stack, folder)
        if fitted.trees is not None:
            fitted.trees.save_model(folder / LIGHTGBM_FILE)
        for name, member in inputs.config.members.items():
            shutil.copytree(member, folder / "members" / name)
    load_artifact(inputs.config.output / "artifact")
    logger.info("%s written", inputs.config.output / "artifact")


def _retriever_of_today(inputs: Inputs) -> Retriever:
    """Popularity and co-occurrence of all purchases: what is served may know more than what was judged."""
    end = datetime.fromisoformat(str(inputs.data["last_event_at"])) + timedelta(microseconds=1)
    return fit_retriever(purchase_shards(inputs.config.data), inputs.items["item_id"], cutoff=end)


def _settings(inputs: Inputs, test: pl.DataFrame, choice: Choice, fitted: Fitted) -> Settings:
    """Cost rates, segment thresholds and the rest, from what was known of the test customers at their cutoff."""
    config, horizon = inputs.config, inputs.horizon_days
    assert choice.winner.intervals is not None
    costs = fit_cost_rates(test)
    behaviour = buyer_behaviour(test, spreading_btyd(fitted.btyd_models, choice.champion), config.clv, horizon)
    values = customer_values(test, choice.winner.test, {}, behaviour, costs, config.clv, horizon)
    gaps = test["mean_gap_days"].drop_nulls()
    return Settings(
        champion=choice.champion,
        churn=choice.churn,
        recommender=choice.recommender,
        horizon_days=horizon,
        currency=str(inputs.data["currency"]),
        data_end=str(inputs.data["last_event_at"]),
        usual_gap_days=float(np.median(gaps.to_numpy())) if gaps.len() else float(horizon),
        clv=config.clv,
        costs=costs,
        prospects=choice.prospects,
        thresholds=fit_thresholds(values.clv),
        intervals=choice.winner.intervals,
        exclude_seen=config.exclude_seen,
    )
