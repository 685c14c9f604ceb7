"""The simulated defence: where an object can be met, which battery takes which, what came of it as the tracks tell."""
