"""The engine `sentence_transformers`: vectors and rankings, requests of all callers batched together."""
