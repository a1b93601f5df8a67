"""Generation of the published vectors: the same seed always gives the same files."""
