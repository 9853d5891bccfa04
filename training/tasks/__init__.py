"""What a LLaMA is taught: prompts, histories, conversations."""
