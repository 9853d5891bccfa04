"""MLflow beside a job."""
