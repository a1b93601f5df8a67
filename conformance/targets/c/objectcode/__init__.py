"""What compilers make of libgpamap, proved equal to the specification: functions, search and walk, for all inputs."""
