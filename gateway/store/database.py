"""One database, two engines: reads that never wait, writes one at a time on SQLite.

SQLite lets one process write at once, and its busy handler is unfair under load (measured: a
p99 ten times worse), so writers queue on a thread lock and then on a file lock instead.
PostgreSQL needs neither: there, a write is an ordinary transaction.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from gateway.errors import (
    GatewayError,
    InvalidSetting,
    StoreUnavailable,
    TooCostly,
    VersionConflict,
)

__all__ = ["Connection", "Database", "now_micros"]

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=0",
    "PRAGMA cache_size=-16000",
    "PRAGMA temp_store=MEMORY",
)
# PostgreSQL: serialization_failure, deadlock_detected. The same work succeeds when tried again.
_LOST_TO_ANOTHER = frozenset({"40001", "40P01"})
# PostgreSQL: query_canceled, which only the time limit of a search does.
_TOO_LONG = ("57014", "SQLITE_INTERRUPT")
SEARCH_SECONDS = 10.0
_STEPS = 100_000
"""SQLite looks at the clock after so many steps of its machine, some milliseconds."""


def now_micros() -> int:
    """Return the present instant in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Database:
    """Connections to the store; `read()` for queries, `write()` for one transaction."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise InvalidSetting("must be a sqlite or postgresql URL", where="database")
        self._thread_lock = threading.RLock()
        self._lock_file: int | None = None
        self._own: list[Any] = []
        self._engine = self._create()
        # SQLite limits each search itself: see `search`.
        self._searcher = self._engine if self.is_sqlite else self._create(SEARCH_SECONDS)
        self._writer: Engine = self._create_writer()

    def _create(self, seconds: float = 0) -> Engine:
        if not self.is_sqlite:
            limit = f"-c statement_timeout={int(seconds * 1000)}"
            return create_engine(
                self._postgres_url(),
                connect_args={"options": limit} if seconds else {},
                hide_parameters=True,
                isolation_level="AUTOCOMMIT",
                pool_size=20,
                max_overflow=80,
                pool_pre_ping=True,
            )
        Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            pool_size=8,
            max_overflow=32,
        )
        event.listen(engine, "connect", _set_pragmas)
        return engine

    def _create_writer(self) -> Engine:
        if not self.is_sqlite:
            return create_engine(
                self._postgres_url(),
                hide_parameters=True,
                pool_size=20,
                max_overflow=80,
                pool_pre_ping=True,
            )
        engine = create_engine(self.url, hide_parameters=True, pool_size=1, max_overflow=0)
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin_immediate)
        return engine

    def _postgres_url(self) -> Any:
        return self.url.set(drivername="postgresql+psycopg")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection for queries; raises StoreUnavailable."""
        with _translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def search(self, seconds: float = SEARCH_SECONDS) -> Iterator[Connection]:
        """Open a connection for searches; raises TooCostly for one that takes too long.

        On PostgreSQL each statement has SEARCH_SECONDS, on SQLite all together have `seconds`.
        """
        with _translated(), self._searcher.connect() as connection:
            if not self.is_sqlite:
                yield connection
                return
            driver: Any = connection.connection.driver_connection
            end = time.monotonic() + seconds
            driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            try:
                yield connection
            finally:
                driver.set_progress_handler(None, 0)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one durable transaction; nothing is visible unless it returns normally.

        Raises StoreUnavailable when the database cannot be reached, is full or is read-only,
        VersionConflict when another transaction was faster.
        """
        with _translated():
            if not self.is_sqlite:
                with self._writer.begin() as connection:
                    yield connection
                return
            with self.exclusive(), self._writer.begin() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a connection whose queries all see one moment; raises StoreUnavailable."""
        with _translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")  # in WAL mode a reader keeps its view
                yield connection
                connection.exec_driver_sql("ROLLBACK")
            else:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                yield connection

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the one writer of all threads and processes on SQLite; nothing on PostgreSQL."""
        if not self.is_sqlite:
            yield
            return
        with self._thread_lock:
            self._lock_processes()
            try:
                yield
            finally:
                self._unlock_processes()

    def own_connection(self) -> Any:
        """Return a driver connection of the caller's own, in autocommit; raises StoreUnavailable.

        For use inside `driver_errors`; give it back after any error.
        """
        with _translated():
            connection = self._engine.raw_connection()
            connection.detach()
            self._own.append(connection)
            return connection

    def give_back(self, connection: Any) -> None:
        """Close a connection that was the caller's own."""
        self._own.remove(connection)
        connection.close()

    @contextmanager
    def driver_errors(self) -> Iterator[None]:
        """Turn what the driver raises into what `write` raises."""
        driver = self._engine.dialect.loaded_dbapi
        try:
            yield
        except driver.IntegrityError as error:
            raise VersionConflict from error
        except (driver.OperationalError, driver.InterfaceError, OSError) as error:
            if self.is_sqlite and isinstance(error, driver.InterfaceError):
                raise  # a value that it cannot take
            if getattr(error, "sqlstate", "") in _LOST_TO_ANOTHER:
                raise VersionConflict from error
            raise StoreUnavailable from error

    def _lock_processes(self) -> None:
        if self._lock_file is None:
            self._lock_file = os.open(f"{self.url.database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)

    def _unlock_processes(self) -> None:
        if self._lock_file is not None:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._own:
            connection.close()
        self._own.clear()
        self._engine.dispose()
        self._searcher.dispose()
        self._writer.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise VersionConflict from error
    except DBAPIError as error:
        if meant := _meant(error):
            raise meant from error
        raise
    except OSError as error:
        raise StoreUnavailable from error
    except SQLAlchemyError as error:
        if "QueuePool limit" in str(error):
            raise StoreUnavailable from error
        raise


def _meant(error: DBAPIError) -> GatewayError | None:
    state = getattr(error.orig, "sqlstate", "") or getattr(error.orig, "sqlite_errorname", "")
    if state in _LOST_TO_ANOTHER:
        return VersionConflict()
    if state in _TOO_LONG:
        return TooCostly("the search takes too long")
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return StoreUnavailable()
    return None


def _set_pragmas(connection: Any, _record: Any) -> None:
    # The driver must not open transactions of its own: _begin_immediate does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
