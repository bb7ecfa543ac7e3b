"""What should have happened, and whether it did."""
