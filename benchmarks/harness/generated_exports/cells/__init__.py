"""Ways to write cells: names, money, times, ids, texts, and the CSV around them."""
