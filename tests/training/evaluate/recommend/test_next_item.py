"""Members that rank: none that knows the answers by which models are chosen, under no name but their own."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.llama.member import MemberManifest
from lifecycle.names import SEQUENCE_LLAMA
from tests.builders import TinyShop
from training.evaluate.inputs import read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.next_item import member_rankings
from training.evaluate.recommend.tasks import final_task, selection_task


def test_a_member_that_learned_what_models_are_chosen_by_is_not_asked_for_it(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    config = EvaluateConfig(data=tiny_shop.data, examples=tiny_shop.examples, output=tmp_path)
    manifest = MemberManifest(
        identity="m",
        task="next_item",
        encoder="sequence",
        name=SEQUENCE_LLAMA,
        dataset="d",
        recipe={"learn_validation": True},
        metrics={},
    )
    inputs = replace(
        read_inputs(config),
        config=config.model_copy(update={"ranking_members": {SEQUENCE_LLAMA: tmp_path / "m"}}),
        ranking_members={SEQUENCE_LLAMA: manifest},
    )
    assert final_task(inputs).is_final and not selection_task(inputs).is_final
    with pytest.raises(ValueError, match="take one that was trained without learn_validation"):
        member_rankings(inputs, selection_task(inputs))


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no member 'text_llama' that ranks"):
        EvaluateConfig.model_validate(
            {"data": "d", "examples": "e", "ranking_members": {"text_llama": "m"}, "output": "o"}
        )
