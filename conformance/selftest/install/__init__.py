"""The plugin as a user has it: a wheel, in an environment that holds what the wheel asks for and nothing else."""
