"""What a sweep over every architecture found: stored in one file, shown as a table, compared with another sweep."""
