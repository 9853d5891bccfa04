"""python -m training.evaluate: the arena, and the artifact that it chooses."""

from lifecycle.jobs import run_job
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig

if __name__ == "__main__":
    run_job(EvaluateConfig.load, "training.evaluate", evaluate)
