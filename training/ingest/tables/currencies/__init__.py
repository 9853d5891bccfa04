"""Which currencies money is in: codes, columns that tell them, names of columns and files."""
