"""The live service: the pipeline's process, the web process beside it, and what passes between them."""

DEFAULT_HTTP = "127.0.0.1:8700"
"""Where `serve` answers and the operator's commands ask, when nothing else is said."""
