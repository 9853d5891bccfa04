"""python -m training.ingest: any shop's tables to events, items and customers."""

from lifecycle.jobs import run_job
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

if __name__ == "__main__":
    run_job(IngestConfig.load, "training.ingest", ingest)
