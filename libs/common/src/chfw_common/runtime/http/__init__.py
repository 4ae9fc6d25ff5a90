"""The HTTP rim: the application of a service, its callers, its problems, its health."""
