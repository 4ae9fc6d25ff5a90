"""Value types and the pure rules that two services share. Standard library only."""
