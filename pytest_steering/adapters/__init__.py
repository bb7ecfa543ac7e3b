"""How a model is steered: the contract of an adapter, how one is found, and those that are built in."""
