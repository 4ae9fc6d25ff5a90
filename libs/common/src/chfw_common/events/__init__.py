"""The wire contracts: one module per topic, frozen, versioned, without behaviour. Facts, in the past tense."""
