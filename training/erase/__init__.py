"""Job: folders anew without erased customers, and a receipt for each of them."""
