"""Which patient a report belongs to; what cannot be decided safely is held."""
