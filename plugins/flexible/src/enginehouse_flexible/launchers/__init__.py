"""The launchers that ship. Each module is imported only in the worker of a model that it builds."""
