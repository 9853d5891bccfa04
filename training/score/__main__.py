"""python -m training.score: every customer of an ingest folder by an artifact."""

from lifecycle.jobs import run_job
from training.score.job import score
from training.score.recipe import ScoreConfig

if __name__ == "__main__":
    run_job(ScoreConfig.load, "training.score", score)
