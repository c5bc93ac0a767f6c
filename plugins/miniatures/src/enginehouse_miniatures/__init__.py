"""Miniature models for Enginehouse: small enough to ship inside a package, real enough to answer."""
