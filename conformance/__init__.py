"""The conformance suite: one file per group of requirements, one test per requirement."""
