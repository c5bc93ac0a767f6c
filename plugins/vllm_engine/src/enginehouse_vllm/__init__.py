"""The engine `vllm`: vLLM's own server as a worker."""
