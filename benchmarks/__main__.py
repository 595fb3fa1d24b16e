"""`python -m benchmarks` prints every figure that we claim."""

from __future__ import annotations

from benchmarks import accept, serve, translate

met = [translate.main(), accept.main(accept.engines()), serve.main(accept.engines())]
raise SystemExit(0 if all(met) else 1)
