"""One folder for each implementation under test."""
