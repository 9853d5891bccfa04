"""Rows of text to event columns: filtered, computed, parsed, looked up, and watched for what comes again."""
