"""The scheduler's rules: frozen values, total functions. No I/O, no clock, no logging; only the kernel."""
