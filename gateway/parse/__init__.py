"""Bytes to parts, part to `Message`; no I/O."""
