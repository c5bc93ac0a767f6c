"""llama.cpp's own HTTP server on one file, in a process with nothing else: prints its port, ends with its stdin.

python benchmarks/plain_llamacpp.py FILE SLOTS CONTEXT THREADS
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import xllamacpp


def main() -> None:
    file, slots, context, threads = sys.argv[1], *map(int, sys.argv[2:])
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_parallel, parameters.n_ctx = slots, slots * context
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.fit_params, parameters.cache_ram_mib, parameters.verbosity = False, 0, 0
    server = xllamacpp.Server(parameters)
    print(urlsplit(server.listening_address).port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
