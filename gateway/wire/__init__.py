"""Bytes on the network, below all stages: MLLP frames, ER7 text, HTTP out."""
