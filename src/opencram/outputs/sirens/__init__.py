"""Sirens: what is said to them, who says it again until they answer, and a software siren that answers."""
