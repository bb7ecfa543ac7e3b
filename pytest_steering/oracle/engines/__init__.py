"""Whether an engine steers what the reference implementation steers, request by request."""
