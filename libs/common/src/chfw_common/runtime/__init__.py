"""The imperative shell, written once: everything a service needs besides its own rules."""
