"""Judged models: every metric, and a row for every customer."""

import numpy as np
import pytest

from lifecycle.spend.models import SpendModels
from tests.builders import VALUE_METRICS
from tests.training.evaluate.value.forecasts import sets_of
from training.evaluate.value.cheap import Fits
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.judging import judge, predictions_frame
from training.evaluate.value.outcomes import Fitted


def test_judged_models_have_every_metric_with_interval_and_a_row_per_customer() -> None:
    random = np.random.default_rng(0)
    spent = random.gamma(1.0, 20.0, 300)
    sets = sets_of(spent, spent)
    entries = {
        "good": Forecast(spent * 1.01, spent * 0.99, 10.0),
        "flat": Forecast(spent * 0 + 20, spent * 0 + 20, 10.0),
    }
    nothing = SpendModels(sets.horizon_days, {}, {})
    fitted = Fitted(sets, Fits(nothing, nothing, None, None), None)
    judged = judge(entries, fitted, num_resamples=20, seed=0)
    assert set(judged["good"].metrics.model_dump()) == VALUE_METRICS
    assert judged["good"].metrics.bias == pytest.approx(0.99)
    assert judged["flat"].metrics.spearman is None
    frame = predictions_frame(judged, sets)
    assert frame.columns == [
        "customer_id",
        "model",
        "predicted",
        "low_80",
        "high_80",
        "low_95",
        "high_95",
        "actual",
        "actual_net",
    ]
    assert frame.height == 600 and frame.select("customer_id", "model").is_unique().all()
    ends = frame.select("low_95", "low_80", "high_80", "high_95").to_numpy()
    assert (np.diff(ends, axis=1) >= 0).all()
