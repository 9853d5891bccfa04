"""A hundred exports drawn at random are read as they were drawn; benchmarks.ingest_generated reads more of them."""

import pytest

from benchmarks.harness.generated_exports.verdict import verdict_of

EXPORTS = 100
PER_TEST = 10


@pytest.mark.integration
@pytest.mark.parametrize("first", range(0, EXPORTS, PER_TEST))
def test_exports_are_read_as_they_were_drawn(first: int) -> None:
    verdicts = [verdict_of(seed) for seed in range(first, first + PER_TEST)]
    wrong = [verdict for verdict in verdicts if verdict.kind not in ("right", "refused")]
    assert not wrong, "\n\n".join(map(str, wrong))
