"""What is judged: from a model spec to a loaded model."""
