"""What orders and their lines tell that may be counted falsely: found by shard, told of the whole."""
