"""What the suite found in serving engines: stored in one file, shown as a table."""
