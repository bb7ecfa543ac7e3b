"""Which known-bad adapters the suite fails, on which models."""
