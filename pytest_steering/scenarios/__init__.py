"""Every use of a steered model: the space of uses, and one judge for any point of it."""
