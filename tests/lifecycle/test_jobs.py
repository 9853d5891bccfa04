"""Progress of long work: what its lines say of the rest."""

import time

import pytest

from lifecycle.jobs import Progress


def test_the_rest_goes_by_the_rate_of_late_and_the_last_line_by_the_whole(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers need 20 s to start, and do 10 units a second then: after 51 s, 49 s are left."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    caplog.set_level("INFO")
    progress = Progress("valued", 800, "customers")
    for second in range(21, 101):
        now = float(second)
        progress.advance(10)
    told = {line.split()[1]: line for line in caplog.messages}
    assert told["10/800"].endswith(", 0.5/s, ETA 1659 s")  # all there is to go by
    assert told["310/800"] == "valued 310/800 customers (39 %), 10.0/s, ETA 49 s"
    assert caplog.messages[-1] == "valued 800/800 customers (100 %), 8.0/s, ETA 0 s"
