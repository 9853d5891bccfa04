"""python -m training.pipeline: stages one after another, then the service."""

from lifecycle.jobs import run_job
from training.pipeline.job import run_pipeline
from training.pipeline.recipe import PipelineConfig

if __name__ == "__main__":
    run_job(PipelineConfig.load, "training.pipeline", run_pipeline)
