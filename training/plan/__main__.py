"""python -m training.plan: what a training recipe needs and how long it takes."""

from lifecycle.jobs import run_job
from training.plan.job import show_plan
from training.recipe import TrainConfig

if __name__ == "__main__":
    run_job(TrainConfig, "training.plan", show_plan)
