"""python -m training.prepare: an ingest folder to training, validation and test examples."""

from lifecycle.jobs import run_job
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

if __name__ == "__main__":
    run_job(PrepareConfig.load, "training.prepare", prepare)
