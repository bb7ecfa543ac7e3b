"""How an engine runs a checkpoint itself: the contract of one, how one is found, and those that are built in."""
