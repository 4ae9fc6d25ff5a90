"""The rules of deciding: frozen values, pure functions. No I/O, no clock; only the kernel."""
