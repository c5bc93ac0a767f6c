"""Parsers of tool calls and of reasoning, one module a format. They import only the sdk and the standard library."""
