"""What is asked for: a plan, the capabilities of an adapter, and which tokens of a pass are meant."""
