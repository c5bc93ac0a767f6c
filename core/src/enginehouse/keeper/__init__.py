"""The keeper: a small process that holds one worker. It outlives the server, and its worker never outlives it for long.

Needs the standard library alone, and of that the light part: one keeper runs beside every worker.
"""
