"""A base model before it is loaded: its files, and whether weights, tokenizer and configuration fit each other."""
