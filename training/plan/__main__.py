"""python -m training.plan: what a training recipe needs and how long it takes."""

from lifecycle.jobs import run_job
from training.plan.job import show_plan
from training.tasks.recipes.union import load_recipe

if __name__ == "__main__":
    run_job(load_recipe, "training.plan", show_plan)
