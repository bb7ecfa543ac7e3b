"""What only requirements share."""
