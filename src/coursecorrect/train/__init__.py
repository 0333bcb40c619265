"""Preference learning on ranked groups, through TRL."""
