"""What a recipe's SQL means on a file: its columns and types, computed wide, row by row."""
