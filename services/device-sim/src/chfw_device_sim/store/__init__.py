"""The SQL of edges and hubs."""
