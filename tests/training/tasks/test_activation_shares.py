"""Shares of an activation cache: damaged ones, and disks without room for them."""

import resource
import shutil
from pathlib import Path

import pytest

from tests.training.tasks.activation_runs import complete_shares, of_base, settings_of

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


def test_damaged_share_is_refused_by_name(
    half_frozen: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from training.loop.worker import start_run

    cache = tmp_path / "cache"
    settings = settings_of(
        of_base(half_frozen, "tiny_base_model", request) | {"activation_cache": str(cache)}
    )
    start_run(settings)
    share = next(path.parent for path in cache.glob("*/00001/manifest.json"))
    content = bytearray((share / "states.safetensors").read_bytes())
    content[-1] ^= 1
    (share / "states.safetensors").write_bytes(content)
    with pytest.raises(
        ValueError,
        match=f"activation_cache: .*{share} is damaged: states.*; delete {share} and it wi",
    ):
        start_run(settings)
    (share / "manifest.json").unlink()
    with pytest.raises(ValueError, match=f"{share} is not empty and has no manifest.json"):
        start_run(settings)
    shutil.rmtree(share)
    start_run(settings)
    assert (share / "manifest.json").exists()


def test_full_disk_leaves_no_half_written_share(
    half_frozen: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A limit on the size of files stands in for the disk's."""
    from training.loop.worker import start_run

    cache = tmp_path / "cache"
    settings = settings_of(
        of_base(half_frozen, "tiny_base_model", request) | {"activation_cache": str(cache)}
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(
            ValueError,
            match=f"activation_cache {cache}/.*/00000 cannot be written: .*File too large",
        ):
            start_run(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not complete_shares(cache) and not list(cache.glob("*/*.incomplete"))
    start_run(settings)
    assert len(complete_shares(cache)) == 3


def test_disk_that_is_too_small_is_named_before_anything_is_computed(
    half_frozen: dict[str, object],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from training.loop.worker import start_run

    settings = settings_of(
        of_base(half_frozen, "tiny_base_model", request)
        | {"activation_cache": str(tmp_path / "cache")}
    )
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    )  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"needs 0.00\d+ GB; its disk has 0.001 GB"):
        start_run(settings)
    assert not complete_shares(tmp_path / "cache")
