"""The authorization server and the bearer tokens it issues."""
