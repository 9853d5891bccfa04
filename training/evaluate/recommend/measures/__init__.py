"""What rankings are measured against beside groups of customers: the catalogue, recall by kind, margins."""
