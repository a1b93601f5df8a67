"""Bounded model checking of libgpamap: the harnesses (C, one subject a file) and the list of them."""
