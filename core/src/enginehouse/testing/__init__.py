"""What authors of plugins test with: real servers and workers, scripted ones, checks of the contract, certificates.

Needs `enginehouse-core[server]`; the fixtures come with `enginehouse-core[testing]`. A test imports from the modules:

- `houses.House`: a real server on a free port, with a home of its own.
- `workers.KeptWorker`, `workers.simulated_worker`: a worker under a real keeper, without a server.
- `asking.ask`: what an engine answers, called as the runner calls it.
- `recording.Recorder`: keeps a real worker's traffic as a cassette, which the engine `replay` plays.
- `certifying.certify`: all checks of the contract that apply to a plugin.

The fixtures `house`, `new_house`, `simulated_worker` and `ask_engine` are there without any import.
"""
