"""Vectors of the vhost line."""
