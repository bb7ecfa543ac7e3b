"""From what was measured to the bug: what the numbers of one failure point to, and what all of them say together."""
