"""What report.html opens with: totals, whom to act on first, how far to trust it, season."""
