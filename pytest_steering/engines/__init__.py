"""How an engine runs a checkpoint itself: the contract of one, and how one is found."""
