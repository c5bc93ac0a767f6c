"""The binding xllamacpp: llama.cpp's own server core in this process. The only place that imports it."""
