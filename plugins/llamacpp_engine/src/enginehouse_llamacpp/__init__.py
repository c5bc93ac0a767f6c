"""The engine `llama.cpp`, and the converter to its file format."""
