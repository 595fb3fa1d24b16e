"""The doors through which stored resources leave: FHIR, SMART, health."""
