"""The tables of a recipe: which files, how they are read, what is computed of their rows."""
