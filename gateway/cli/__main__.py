"""`python -m gateway.cli` is the same command."""

from gateway.cli import main

main()
