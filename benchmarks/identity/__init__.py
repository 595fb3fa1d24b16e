"""How well, how fairly and how fast patients are matched, on an invented population."""
