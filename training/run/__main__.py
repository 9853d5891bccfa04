"""python -m training.run: fine-tune a model with Ray Train and DeepSpeed."""

from lifecycle.jobs import run_job
from training.recipe import TrainConfig
from training.run.job import train

if __name__ == "__main__":
    run_job(TrainConfig, "training.run", train)
