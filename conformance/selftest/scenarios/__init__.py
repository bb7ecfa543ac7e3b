"""Tests of the space of uses and of its judge."""
