"""opencram: an open counter-rocket, artillery and mortar warning system; the defence is simulated, always."""

__version__ = "0.1.0"
