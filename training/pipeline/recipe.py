"""The recipe of a pipeline: what `training.pipeline` reads."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from lifecycle.config import Config

JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # what cluster/submit.sh takes
EVALUATE = "training.evaluate"


class Stage(Config):
    """One job of the pipeline: `python -m <module> --config <config>`."""

    name: str = Field(pattern=JOB_NAME)
    module: str
    config: Path


class ServeStage(Config):
    """The service to call once the stages are done."""

    artifact: Path
    events: Path
    customers: int = Field(3, ge=1)  # sent in each request
    port: int = 8000


class PipelineConfig(Config):
    """Recipe of `python -m training.pipeline`.

    `process` runs every stage as a process of this machine, on one Ray cluster, and may call the
    service at the end. `jobs` submits every stage to a running cluster, and may deploy the service
    there.
    """

    runner: Literal["process", "jobs"] = "process"
    stages: tuple[Stage, ...] = Field(min_length=1)
    serve: ServeStage | None = None  # process
    output: Path | None = None  # process: summary.json goes here, beside the arena's metrics.json
    name: str | None = Field(None, pattern=JOB_NAME)  # jobs: their ids are <name>-<stage>
    deploy: Path | None = None  # jobs: the Serve config, deployed with what evaluate wrote

    @model_validator(mode="after")
    def _keys_are_those_of_the_runner(self) -> Self:
        needed = "output"
        foreign = ("name", "deploy")
        if self.runner == "jobs":
            needed = "name"
            foreign = ("serve", "output")
        if getattr(self, needed) is None:
            raise ValueError(f"runner {self.runner} needs the key {needed!r}")
        for key in foreign:
            if getattr(self, key) is not None:
                raise ValueError(f"the key {key!r} is not for runner {self.runner}")
        return self

    @model_validator(mode="after")
    def _one_arena_is_deployed(self) -> Self:
        arenas = [stage for stage in self.stages if stage.module == EVALUATE]
        if self.deploy is not None and len(arenas) != 1:
            raise ValueError(f"deploy needs one stage {EVALUATE}; there are {len(arenas)}")
        return self
