"""What a caller may see: SMART scopes in, one `Access` value out."""
