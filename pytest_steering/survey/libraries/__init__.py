"""What the suite found in steering libraries: stored in one file, shown as a table, each failure with its cause."""
