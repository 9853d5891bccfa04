"""What the frozen layers make of a run's prompts, computed once and kept on disk for all epochs, runs and trials."""

import hashlib
import logging
import shutil
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.distributed
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lifecycle.folders import Manifest, fingerprint, is_complete, new_folder, verify, write_manifest
from lifecycle.jobs import Progress
from lifecycle.llama.decoder import architecture, attention_of
from lifecycle.llama.member import DecoderSettings, base_model_identity
from training.tasks.frozen_layers import LowerLayers, SkippedLayers
from training.tasks.recipes.text import TextRecipe
from training.tasks.rows import num_frozen_layers

logger = logging.getLogger(__name__)
ACTIVATIONS_KIND = "activations"
STATES_FILE = "states.safetensors"
SHARE_PROMPTS = 256  # that one worker computes at a time: what a kill can cost
POLL_SECONDS = 0.5
Tokens = list[list[int]]  # of prompts
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class CacheKey:
    """What decides the states. How many layers the model keeps above does not, nor what is learned there."""

    prompts: str  # SHA-256 of their tokens
    base_model: str  # SHA-256 of its weights
    num_layers: int  # after which the states are taken
    dtype: str
    attention: str


class ShareManifest(Manifest):
    """The manifest of a share: the CacheKey, for people."""

    prompts: str
    base_model: str
    num_layers: int
    dtype: str
    attention: str


class StoredStates:
    """Hidden states of a list of prompts, mapped into memory from the shares of a complete cache."""

    def __init__(self, shares: list[Path]) -> None:
        self.shares: list[dict[str, Tensor]] = [load_file(share / STATES_FILE) for share in shares]

    def batch(self, rows: Iterable[int]) -> Tensor:
        """States of the prompts at some positions, shape (n, longest, hidden), zeros after the end of each."""
        states: Tensor = pad_sequence([self._of(int(row)) for row in rows], batch_first=True)
        return states

    def _of(self, row: int) -> Tensor:
        share = self.shares[row // SHARE_PROMPTS]
        place = row % SHARE_PROMPTS
        first, end = share["bounds"][place : place + 2].tolist()
        return share["states"][first:end]


class ActivationCache:
    """The states of a run's training and validation prompts, which stand in for layers of its decoder."""

    def __init__(
        self,
        config: TextRecipe,
        folder: Path,
        *,
        train: Tokens,
        validation: Tokens,
        dtype: torch.dtype,
    ) -> None:
        self.num_layers = num_frozen_layers(config)
        self.states: dict[Split, StoredStates] = {
            "train": stored_states(config, folder, train, dtype),
            "validation": stored_states(config, folder, validation, dtype),
        }

    def skip_layers(self, decoder: nn.Module) -> None:
        """Let the decoder take stored states in place of its frozen layers."""
        self.layers = SkippedLayers(decoder, self.num_layers)

    def given(
        self, split: Split, rows: Iterable[int], device: torch.device
    ) -> AbstractContextManager[None]:
        """Forward passes inside are those of the prompts at some positions of a split."""
        return self.layers.given(self.states[split].batch(rows).to(device))


def stored_states(
    config: TextRecipe, cache: Path, tokens: Tokens, dtype: torch.dtype
) -> StoredStates:
    """The states of prompts after the layers below those that LoRA adapts.

    What the folder `cache` does not hold yet is computed by all workers that ask for it, of this
    run and of others; they meet on the disk alone, and a killed one leaves its share to the rest.
    Raises ValueError where the disk is too small, or a share is not what was written.
    """
    rank = torch.distributed.get_rank()
    num_workers = torch.distributed.get_world_size()
    num_layers = num_frozen_layers(config)
    key = cache_key(config.decoder, num_layers, tokens, dtype)
    identity = fingerprint(asdict(key))
    folder = cache / identity[:16]
    shares = {
        folder / f"{start // SHARE_PROMPTS:05}": tokens[start : start + SHARE_PROMPTS]
        for start in range(0, len(tokens), SHARE_PROMPTS)
    }
    missing = {
        share: of_share
        for share, of_share in shares.items()
        if not is_complete(share, ACTIVATIONS_KIND, identity)
    }
    if missing:
        frozen = replace(config.decoder, num_layers=num_layers)
        manifest = ShareManifest(identity=identity, **asdict(key))
        ShareWriter(frozen, dtype, manifest, shows_progress=rank == 0).write_all(missing)
    if rank == 0:
        logger.info(
            "activations of %d prompts after %d layers are in %s",
            len(tokens),
            key.num_layers,
            folder,
        )
    for share in list(shares)[rank::num_workers]:
        _check(share)
    return StoredStates(list(shares))


def cache_key(
    decoder: DecoderSettings, num_layers: int, tokens: Tokens, dtype: torch.dtype
) -> CacheKey:
    """The key of prompts after the first `num_layers` layers of a decoder."""
    lengths = [len(row) for row in tokens]
    numbers = np.array([len(lengths), *lengths, *chain.from_iterable(tokens)], dtype=np.int64)
    return CacheKey(
        prompts=hashlib.sha256(numbers.tobytes()).hexdigest(),
        base_model=base_model_identity(str(decoder.base_model)).sha256,
        num_layers=num_layers,
        dtype=str(dtype),
        attention=attention_of(decoder, dtype),
    )


def _check(share: Path) -> None:
    try:
        verify(share, ACTIVATIONS_KIND)
    except ValueError as error:
        raise ValueError(
            f"activation_cache: {error}; delete {share} and it will be computed again"
        ) from None


class ShareWriter:
    """Computes the missing shares of a cache, one at a time; owns the lower layers once there is work for them."""

    def __init__(
        self,
        frozen: DecoderSettings,
        dtype: torch.dtype,
        manifest: ShareManifest,
        *,
        shows_progress: bool,
    ) -> None:
        self.frozen = frozen
        self.dtype = dtype
        self.manifest = manifest
        self.shows_progress = shows_progress
        self.layers: LowerLayers | None = None

    def write_all(self, missing: dict[Path, Tokens]) -> None:
        """Return once all shares are there, whoever wrote them; `missing` has the tokens of each one's prompts."""
        folder = next(iter(missing)).parent
        folder.mkdir(parents=True, exist_ok=True)
        self._check_space(folder, sum(map(len, chain.from_iterable(missing.values()))))
        progress = Progress(
            f"activations into {folder}:", sum(map(len, missing.values())), "prompts"
        )
        missing = dict(missing)
        has_worked = True
        while missing:
            if not has_worked:
                time.sleep(POLL_SECONDS)  # other processes are at work on what is left
            has_worked = False
            for share in list(missing):
                has_worked |= self._write(share, missing[share])
                if self._is_complete(share):
                    num_prompts = len(missing.pop(share))
                    if self.shows_progress:
                        progress.advance(num_prompts)

    def _is_complete(self, share: Path) -> bool:
        return is_complete(share, ACTIVATIONS_KIND, self.manifest.identity)

    def _check_space(self, folder: Path, num_tokens: int) -> None:
        needed = num_tokens * architecture(self.frozen).hidden_size * self.dtype.itemsize
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"activation_cache {folder} needs {needed / 1e9:.3g} GB; its disk has {free / 1e9:.3g} GB"
            )

    def _write(self, share: Path, tokens: Tokens) -> bool:
        """Write a share unless another process does or did; whether this one has.

        The kernel frees the lock with its owner, however that one ends.
        """
        try:
            with FileLock(share.with_name(share.name + ".lock"), blocking=False):
                if self._is_complete(share):
                    return False
                self._compute(share, tokens)
                return True
        except Timeout:
            return False

    def _compute(self, share: Path, tokens: Tokens) -> None:
        self.layers = self.layers or LowerLayers(self.frozen, self.dtype)
        states, bounds = self.layers.states(tokens)
        try:
            with new_folder(share) as temporary:
                save_file({"states": states, "bounds": bounds}, temporary / STATES_FILE)
                write_manifest(temporary, ACTIVATIONS_KIND, self.manifest)
        except (OSError, SafetensorError) as error:
            if not self._is_complete(share):  # on shared storage another node's may show late
                told = error.__cause__ or error
                raise ValueError(f"activation_cache {share} cannot be written: {told}") from error
