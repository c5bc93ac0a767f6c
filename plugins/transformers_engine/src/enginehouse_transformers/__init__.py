"""The engine `transformers`: causal language models of Hugging Face's library, batched continuously."""
