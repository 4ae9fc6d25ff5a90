"""The rules of telling: frozen values, pure functions. No I/O, no clock; only the kernel."""
