"""Generators: models that truly continue a prefill."""
