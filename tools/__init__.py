"""What `make check` runs beyond ready-made linters. Not installed, not imported by any service."""
