"""`python -m benchmarks` prints every figure that we claim."""

from __future__ import annotations

from benchmarks import accept, audit, serve, translate

ENGINES = accept.engines()
met = [translate.main(), audit.main(), accept.main(ENGINES), serve.main(ENGINES)]
raise SystemExit(0 if all(met) else 1)
