"""Stoker, the miniature chat model: its corpus, its tokenizer, its training and its evaluation."""
