"""The checks of the contract, as data: what each holds, for whom, at which level, and how it is looked at.

A check of a running model speaks HTTP on its worker's socket: server binaries are held to the same as Python engines.
"""
