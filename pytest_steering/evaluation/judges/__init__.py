"""Who says what an answer says: rules, the old phrase counter, another model, or a judge of your own."""
