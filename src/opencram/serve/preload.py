"""Loads all that a service needs, numerical kernels too, in the process from which services are forked."""

from opencram.outputs.sirens import websocket
from opencram.physics.kernel import warmup
from opencram.serve import start

__all__ = ["start", "websocket"]

warmup()
