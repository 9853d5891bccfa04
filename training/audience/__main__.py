"""python -m training.audience: customers for a campaign, as CSV and Parquet."""

from lifecycle.jobs import run_job
from training.audience.job import audience
from training.audience.recipe import AudienceConfig

if __name__ == "__main__":
    run_job(AudienceConfig.load, "training.audience", audience)
