"""An example of a launcher whose models run with versions of their own."""
