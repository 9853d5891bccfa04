"""HTML pages: report.html and quality.html."""
