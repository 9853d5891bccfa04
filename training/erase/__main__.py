"""python -m training.erase: folders anew without erased customers, and a receipt for each of them."""

from lifecycle.jobs import run_job
from training.erase.job import erase
from training.erase.recipe import EraseConfig

if __name__ == "__main__":
    run_job(EraseConfig.load, "training.erase", erase)
