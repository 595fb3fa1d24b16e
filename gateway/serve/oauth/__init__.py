"""The doors of the authorization server: pages for people, endpoints for programs."""
