"""What steering costs under each adapter, measured in one run on one model."""
