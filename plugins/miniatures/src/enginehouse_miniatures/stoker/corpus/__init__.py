"""The text Stoker learns from, written by this package alone and the same for the same seed."""
