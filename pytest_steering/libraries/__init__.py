"""What the suite found in steering libraries: kept in one file, shown as a table, each failure with its cause."""
