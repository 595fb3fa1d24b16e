"""The genomics gateway: laboratory messages in, FHIR genomic reports out."""

__version__ = "0.1.0"
