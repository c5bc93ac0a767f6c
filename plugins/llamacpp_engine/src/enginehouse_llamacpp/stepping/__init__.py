"""The binding llama_cpp (llama-cpp-python): llama.cpp's C functions, and a loop of our own that makes batches of them.

The only place that imports it.
"""
