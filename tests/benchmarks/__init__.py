"""Fan-out beside a floor and a peer: `python -m tests.benchmarks`. Never collected by pytest."""
