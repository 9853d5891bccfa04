"""What a training worker runs: steps, order, checkpoints, DeepSpeed."""
