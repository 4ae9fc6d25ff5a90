"""The steps of edges and hubs: load, decide, save and answer, in one transaction."""
