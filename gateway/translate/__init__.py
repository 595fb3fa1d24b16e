"""A `Message` and a sender's mapping in, `Report`s and `PatientUpdate`s out; no I/O after start."""
