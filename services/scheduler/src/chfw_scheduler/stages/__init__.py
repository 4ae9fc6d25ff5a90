"""The steps of the scheduler, one module per verb: load, decide, save, say."""
