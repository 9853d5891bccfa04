"""python -m training.run: fine-tune a model with Ray Train and DeepSpeed."""

from lifecycle.jobs import run_job
from training.run.job import train
from training.tasks.recipes.union import load_recipe

if __name__ == "__main__":
    run_job(load_recipe, "training.run", train)
