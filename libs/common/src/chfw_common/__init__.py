"""What every service of chfw is built from: value types, wire contracts, the pipeline table, the runtime."""
