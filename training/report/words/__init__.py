"""What models, metrics and features are called in reports."""
