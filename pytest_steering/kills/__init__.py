"""Which known-bad adapters the suite catches, by what, and on which models."""
