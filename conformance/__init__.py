"""WHO conforms: vectors, their generation, the protocol, the runner, the targets and the command line."""
