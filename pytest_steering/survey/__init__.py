"""What this project measured of others, kept in ``data`` and shown as tables."""
