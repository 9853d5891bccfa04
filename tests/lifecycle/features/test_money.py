import numpy as np
import pytest

from lifecycle.features.money import money_unit


@pytest.mark.parametrize(
    ("amounts", "unit"),
    [
        ([0.003, 0.004, 0.5], 1e-5),
        ([0.5, 0.6, 0.02], 1e-3),
        ([0.05, 0.06, 9.0], 1e-4),
        ([1.0, 0.001, 5.0], 1.0),
        ([2e6, 3e9], 1.0),
        ([0.0, -5.0, np.nan, np.inf], 1.0),
        ([], 1.0),
        ([0.0, 0.0, 0.0, 0.03], 1e-4),
    ],
)
def test_median_below_1_is_100_to_1000_units(amounts: list[float], unit: float) -> None:
    given = np.array(amounts)
    assert money_unit([given]) == unit
    assert money_unit([given[:1], given[1:]]) == unit, "whatever the shards"
    if unit < 1:
        assert 100 <= np.median(given[given > 0]) / unit < 1000
