"""What a sweep over every architecture found: kept in one file, shown as a table, compared with another sweep."""
