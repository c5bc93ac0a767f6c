"""The server: a gateway that relays bytes to workers, and the administrative routes beside it."""
