"""What each task and encoder adds to a training recipe; nothing here imports torch."""
