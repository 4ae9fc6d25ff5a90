"""The steps of the inventory: load, decide, save and tell, in one transaction."""
