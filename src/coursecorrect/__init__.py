"""Measure, teach and prove course-correction of language models."""
