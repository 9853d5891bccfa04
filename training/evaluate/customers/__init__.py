"""What the artifact says of the test customers."""
