"""`python -m benchmarks` prints every figure that we claim."""

from __future__ import annotations

from benchmarks import accept, audit, translate

met = [translate.main(), audit.main(), accept.main(accept.engines())]
raise SystemExit(0 if all(met) else 1)
