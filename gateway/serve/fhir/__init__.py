"""The FHIR REST door."""
