"""The rules of intake: frozen values, pure functions. No I/O, no clock; only the kernel."""
