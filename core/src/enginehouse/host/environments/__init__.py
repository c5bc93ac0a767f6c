"""Environments: from what a worker needs to an interpreter that has it, locked, sealed and shared."""
