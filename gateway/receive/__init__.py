"""Doors in: MLLP and HTTP; each hands bytes to `pipeline.accept` and sends its answer back."""
