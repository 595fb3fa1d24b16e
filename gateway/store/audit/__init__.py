"""Who read what: journals that processes append to, one chain of seals over them, an index."""

from gateway.store.audit.event import Event
from gateway.store.audit.journal import Journal

__all__ = ["Event", "Journal"]
