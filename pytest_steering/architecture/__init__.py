"""What a model is, found by data flow: its decoder layers, its residual stream, how it is fed. It knows no steering."""
