"""What can be wrong with a model that is to be converted."""


class CannotConvert(Exception):
    """Says what is wrong with which file, and what to do."""
