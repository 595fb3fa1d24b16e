"""FHIR R4: what reports mean becomes resources here, and what leaves is checked here."""
