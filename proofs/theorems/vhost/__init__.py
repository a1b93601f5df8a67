"""Theorems about the vhost line, one subject a file."""
