"""Task next_item: what is learned from, how a step is taken, sampled softmax."""
