"""From a folder of safetensors to one GGUF file; a program of its own: `python -m enginehouse_llamacpp.convert`."""
