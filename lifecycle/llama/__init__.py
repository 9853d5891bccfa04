"""Everything that needs torch: encoders, heads, language models, re-ranking; members."""
