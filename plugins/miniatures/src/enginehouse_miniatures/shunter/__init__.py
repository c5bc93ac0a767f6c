"""Shunter: a miniature reranker. `python -m enginehouse_miniatures.shunter.train` makes its weights again."""
