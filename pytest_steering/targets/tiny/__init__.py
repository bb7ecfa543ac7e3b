"""Small random instances of transformers' model types, made on the spot."""
