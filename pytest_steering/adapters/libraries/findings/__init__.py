"""What libraries were found to do, each confirmed by the library alone: a script that exits with 1 while it is so."""
