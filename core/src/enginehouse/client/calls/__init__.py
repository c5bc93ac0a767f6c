"""What can be asked of a server: each function gives a `Call`, which both faces of the client know how to send.

The functions carry the names, parameters and documentation of the clients' methods; those of handles take the
model's uid in front.
"""
