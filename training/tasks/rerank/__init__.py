"""Task rerank: what is learned from, and its tokens; the loop does with them what it does with conversations."""
