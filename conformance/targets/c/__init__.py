"""libgpamap, the C library of this project, as a target: in this process (`binding`) and as an adapter (`adapter`)."""
