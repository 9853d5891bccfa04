"""What a recipe of scoring names, checked, and the identity of the scores it makes."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lifecycle.artifact.contents import Artifact, check_currency
from lifecycle.artifact.files import load_artifact
from lifecycle.differences import content
from lifecycle.erasure.current import erasure_of, require_as_current, require_current
from lifecycle.events.shards import DataManifest, read_data_manifest, read_items
from lifecycle.folders import fingerprint, package_versions, read_manifest
from lifecycle.state.files import StateManifest
from training.score.parts import MIN_PARTS, ScoreParts
from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest

logger = logging.getLogger(__name__)
KNOWN_ITEMS = 0.5  # share of the data's items that an artifact of the same shop knows at least


@dataclass(frozen=True)
class ScoreInputs:
    """What is scored, and what the manifests of the scores and of customer state say of it."""

    parts: ScoreParts
    scores: ScoresManifest
    state: StateManifest
    knows_prospects: bool  # whether the artifact learned from customers who had not bought yet


def read_inputs(config: ScoreConfig) -> ScoreInputs:
    """ValueError where the artifact cannot score these data, or did not make the scores before."""
    data = read_data_manifest(config.data)
    require_current(config.data, data.erasure)
    artifact = load_artifact(config.artifact)
    check_currency(artifact, data)
    as_of = as_of_instant(config.as_of, data.last_event_at)
    _warn(config, artifact, as_of - data.last_event_at)
    artifact_files = fingerprint(artifact.manifest.files)
    made_from: list[object] = [
        data.identity,
        artifact.manifest.identity,
        as_of.isoformat(),
        config.explain,
    ]
    told = content("data", data.identity) | content("artifact", artifact.manifest.identity)
    told |= {"as_of": as_of.isoformat(), "explain": config.explain}
    if config.previous is not None:
        before = _identity_before(config, artifact_files)
        require_as_current(config.previous, SCORES_KIND, data.erasure)
        made_from += [before, config.max_age_days]
        told |= content("previous", before) | {"max_age_days": config.max_age_days}
    scores = ScoresManifest(
        identity=fingerprint(made_from),
        made_from=told,
        as_of=as_of,
        model=artifact.settings.champion,
        artifact_files=artifact_files,
        num_customers=0,
        erasure=erasure_of(data.erasure),
    )
    state = _state(artifact, artifact_files, data)
    # Parts from before an erasure, which have the same identity, are not gone on with.
    generation = 0 if data.erasure is None else data.erasure.generation
    of_parts = f"{scores.identity} {generation}" if generation else scores.identity
    knows_prospects = artifact.settings.prospects is not None
    return ScoreInputs(_parts(config, as_of, of_parts), scores, state, knows_prospects)


def _state(artifact: Artifact, artifact_files: str, data: DataManifest) -> StateManifest:
    """What the manifest of customer state says but the number of customers."""
    log = None if data.log is None else data.log.model_dump(mode="json")
    made_from = [data.identity, log, artifact.manifest.identity, artifact_files]
    told = content("data", data.identity) | content("artifact", artifact.manifest.identity)
    told |= {"log": log, "artifact_files": artifact_files}
    return StateManifest(
        identity=fingerprint(made_from),
        made_from=told,
        as_of=as_of_instant(None, data.last_event_at),
        artifact=artifact.manifest.identity,
        artifact_files=artifact_files,
        data=data.identity,
        log=data.log,
        num_customers=0,
        erasure=erasure_of(data.erasure),
    )


def _warn(config: ScoreConfig, artifact: Artifact, since: timedelta) -> None:
    """Of what scores hide: an artifact of another shop, and an instant long `since` the data's last event."""
    items = read_items(config.data)["item_id"]
    num_known = int(items.is_in(artifact.items["item_id"].implode()).sum())
    if num_known < KNOWN_ITEMS * len(items):
        logger.warning(
            "%d of %d items of %s are in the catalogue of %s: is it the artifact of this shop?",
            num_known,
            len(items),
            config.data,
            config.artifact,
        )
    if since.days > artifact.settings.horizon_days:
        logger.warning(
            "as_of is %d days after the last event of %s: whoever bought since counts as silent",
            since.days,
            config.data,
        )


def as_of_instant(given: datetime | date | None, last_event_at: datetime) -> datetime:
    """The instant or midnight asked for in UTC, or the instant just after the last event of the data."""
    if isinstance(given, datetime):
        return given.astimezone(UTC)
    if given is not None:
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return last_event_at + timedelta(microseconds=1)


def _identity_before(config: ScoreConfig, artifact_files: str) -> str:
    """The identity of the scores before; ValueError where another artifact made them."""
    assert config.previous is not None
    manifest = read_manifest(config.previous, SCORES_KIND, ScoresManifest)
    if manifest.artifact_files != artifact_files:
        raise ValueError(
            f"previous: the scores {config.previous} were not made by what {config.artifact} holds now"
        )
    return manifest.identity


def _parts(config: ScoreConfig, as_of: datetime, identity: str) -> ScoreParts:
    """In a folder beside the output; another version may score or split otherwise, and has another one."""
    with_state = config.state is not None
    split = fingerprint([identity, with_state, MIN_PARTS, package_versions()])
    folder = config.first_folder
    return ScoreParts(
        artifact=config.artifact.absolute(),
        data=config.data.absolute(),
        as_of=as_of,
        folder=folder.with_name(f"{folder.name}.parts-{split[:12]}").absolute(),
        explain="features" if config.explain is True else config.explain or None,
        previous=None if config.previous is None else config.previous.absolute(),
        max_age_days=config.max_age_days,
        with_state=with_state,
    )
