"""The chfw command."""
