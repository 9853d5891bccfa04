"""A service that reads titles answers with the fused score, and what it does not read stays behind."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from lifecycle.artifact.contents import RerankSettings, Settings
from lifecycle.llama.member import base_model_identity
from lifecycle.llama.rerank import item_log_likelihoods, load_reranker
from lifecycle.names import RERANKER
from lifecycle.recommend.prompts import NEUTRAL_PROMPT, shopping_prompt
from lifecycle.state.answers import Answer
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from serving.predict.titles import TitleReader, load_title_reader
from tests.serving.builders import TEST_CUTOFF, events_of

WEIGHT = 20.0  # as a tiny model hardly tells titles apart
READ = 6


@pytest.fixture
def reader(predictor: Predictor, tiny_base_model: Path) -> Iterator[TitleReader]:
    """What an artifact would load for which the arena had chosen an untrained model."""
    reranking = RerankSettings(WEIGHT, READ, base_model_identity(str(tiny_base_model)))
    settings = replace(predictor.artifact.settings, reranking=reranking)
    threads = torch.get_num_threads()
    found = load_title_reader(replace(predictor.artifact, settings=settings))
    assert found is not None
    yield found
    torch.set_num_threads(threads)


def buyer(*items: str) -> CustomerQuery:
    bought = [
        {
            "occurred_at": TEST_CUTOFF - timedelta(days=50 - day),
            "order_id": f"o{day}",
            "item_id": item,
        }
        for day, item in enumerate(items)
    ]
    return CustomerQuery("x", events_of(*bought), {})


def listed(answer: Answer) -> list[tuple[str, float]]:
    return [(row["item_id"], row["score"]) for row in answer["recommendations"]]


def test_first_items_are_in_the_order_of_both_scores(
    predictor: Predictor, reader: TitleReader, tiny_base_model: Path
) -> None:
    query, options = buyer("i5", "i6", "i7", "i5"), RecommendOptions(k=9)
    (alone,) = recommend(predictor.artifact, [query], options)
    (answer,) = recommend(predictor.artifact, [query], options, reader)
    assert answer["model"] == RERANKER and alone["model"] == predictor.artifact.settings.recommender
    model = load_reranker(tiny_base_model, "sdpa")
    before = listed(alone)[:READ]
    texts = [reader.texts[item] for item, _ in before]
    prompt = shopping_prompt([reader.texts[item] for item in ("i6", "i7", "i5")])
    after, prior = (
        item_log_likelihoods(model.model, model.tokenizer, one, texts)
        for one in (prompt, NEUTRAL_PROMPT)
    )
    scores = np.array([score for _, score in before])
    expected = scores - np.log(np.exp(scores).sum()) + WEIGHT * (after - prior)
    order = np.argsort(-expected)
    found = listed(answer)
    assert [item for item, _ in found[:READ]] == [before[place][0] for place in order]
    np.testing.assert_allclose([score for _, score in found[:READ]], expected[order], atol=1e-4)
    assert [item for item, _ in found] != [item for item, _ in listed(alone)]
    assert [item for item, _ in found[READ:]] == [item for item, _ in listed(alone)[READ:]]
    assert np.diff([score for _, score in found]).max() <= 0


def test_shorter_lists_and_batches_answer_alike(predictor: Predictor, reader: TitleReader) -> None:
    queries = [buyer("i5", "i6"), buyer("i1", "i2", "i9"), buyer("i30")]
    together = recommend(predictor.artifact, queries, RecommendOptions(k=8), reader)
    for query, answer in zip(queries, together, strict=True):
        (short,) = recommend(predictor.artifact, [query], RecommendOptions(k=3), reader)
        assert [item for item, _ in listed(short)] == [item for item, _ in listed(answer)[:3]]


def test_without_purchases_the_ranker_alone_decides(
    predictor: Predictor, reader: TitleReader
) -> None:
    nobody = CustomerQuery("x", events_of().clear(), {})
    answers = [
        recommend(predictor.artifact, [nobody], RecommendOptions(), one) for one in (None, reader)
    ]
    items = [[item for item, _ in listed(answer)] for (answer,) in answers]
    assert items[0] == items[1]


def test_artifacts_without_re_ranking_load_nothing_and_settings_keep_it(
    predictor: Predictor, reader: TitleReader, tmp_path: Path
) -> None:
    settings = predictor.artifact.settings
    assert settings.reranking is None and load_title_reader(predictor.artifact) is None
    replace(settings, reranking=reader.settings).save(tmp_path)
    assert Settings.load(tmp_path).reranking == reader.settings
