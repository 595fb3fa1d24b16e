"""Local accounts: password, then the code of an authenticator where one is set up.

Attempts are counted before they are made, by account and by address, in the store: all
processes count together. What a stranger learns is the same whether an account exists or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import InvalidRequest, SignInRefused, TooManyAttempts
from gateway.oauth import totp
from gateway.oauth.keyring import Keyring
from gateway.oauth.passwords import Passwords, check_new
from gateway.store import accounts
from gateway.store.accounts import Account, Counted
from gateway.store.database import Connection, Database
from gateway.store.people import LOCAL, Person, create_person, person_of

_FREE_ACCOUNT, _FREE_ADDRESS = 5, 60
_NAME_MAX = 100
_WRONG = "The name or the password is not right."
_WRONG_CODE = "The code is not right, or was used before. Wait for the next one."


@dataclass(frozen=True, slots=True)
class Proved:
    """Somebody whose password was right; `needs_code` when that is not enough."""

    person: Person
    needs_code: bool


class Accounts:
    """Checks and changes local accounts; `clock` gives microseconds since 1970."""

    def __init__(
        self, database: Database, keyring: Keyring, clock: Callable[[], int],
        passwords: Passwords | None = None,
    ) -> None:  # fmt: skip
        self._database, self._keyring, self._clock = database, keyring, clock
        self._passwords = passwords or Passwords()

    def add(self, connection: Connection, login: str, name: str, password: str) -> Person:
        """Add a person with an account; raises InvalidRequest and VersionConflict."""
        subject = login.strip().lower()
        if not subject or len(subject) > _NAME_MAX or not subject.isprintable():
            raise InvalidRequest("must have 1 to 100 characters", where="name")
        check_new(password, subject, name)
        now = self._clock()
        made = create_person(connection, issuer=LOCAL, subject=subject, name=name, now=now)
        accounts.create_account(connection, made.key, self._passwords.hash(password), now)
        return made

    def prove(self, login: str, password: str, address: str) -> Proved:
        """Check name and password; raises SignInRefused, TooManyAttempts."""
        subject = login.strip().lower()[: _NAME_MAX + 1].replace("\0", "")
        self._count(subject, address)
        with self._database.read() as connection:
            person = person_of(connection, LOCAL, subject)
            account = accounts.find_account(connection, person.key) if person else None
        right = self._passwords.verify(account.password if account else None, password)
        if person is None or account is None:
            raise SignInRefused("unknown-account", _WRONG)
        if not right:
            raise SignInRefused("wrong-password", _WRONG, person=person.id)
        if not person.active:
            raise SignInRefused("deactivated", _WRONG, person=person.id)
        self._proved(person, account, password, address)
        return Proved(person, account.totp is not None)

    def prove_code(self, person: Person, code: str, address: str) -> None:
        """Check the code of the authenticator; raises SignInRefused, TooManyAttempts."""
        self._count(person.subject, address)
        with self._database.read() as connection:
            account = accounts.find_account(connection, person.key)
        if account is None or account.totp is None:
            raise SignInRefused("no-authenticator", _WRONG_CODE, person=person.id)
        secret = self._keyring.unseal(account.totp).decode()
        step = totp.matching_step(secret, code, self._clock())
        with self._database.write() as connection:
            if step is None or not accounts.use_totp_step(connection, person.key, step):
                raise SignInRefused("wrong-code", _WRONG_CODE, person=person.id)
            accounts.forget_attempts(connection, _of_account(person.subject))
            accounts.forgive_attempt(connection, _of_address(address))

    def has_authenticator(self, person: Person) -> bool:
        """Whether a code is asked after the password."""
        with self._database.read() as connection:
            account = accounts.find_account(connection, person.key)
        return account is not None and account.totp is not None

    def set_password(self, connection: Connection, person: Person, password: str) -> None:
        """Replace a password; raises InvalidRequest when it may not be one."""
        check_new(password, person.subject, person.name)
        hashed = self._passwords.hash(password)
        accounts.set_password(connection, person.key, hashed, self._clock())

    def set_authenticator(
        self, connection: Connection, person: Person, secret: str, code: str
    ) -> None:
        """Keep an authenticator that has shown a right code; raises SignInRefused."""
        now = self._clock()
        step = totp.matching_step(secret, code, now)
        if step is None:
            raise SignInRefused("wrong-code", _WRONG_CODE, person=person.id)
        sealed = self._keyring.seal(secret.encode())
        accounts.set_totp(connection, person.key, sealed, step, now)

    def drop_authenticator(self, connection: Connection, person: Person) -> None:
        """Take the authenticator away: the password alone is enough until another is set up."""
        accounts.set_totp(connection, person.key, None, 0, self._clock())

    def _count(self, subject: str, address: str) -> None:
        now = self._clock()
        with self._database.write() as connection:
            blocked = accounts.try_again_at(connection, _of_address(address), now)
            blocked = blocked or accounts.try_again_at(connection, _of_account(subject), now)
        if blocked:
            raise TooManyAttempts("throttled")

    def _proved(self, person: Person, account: Account, password: str, address: str) -> None:
        with self._database.write() as connection:
            accounts.forgive_attempt(connection, _of_address(address))
            accounts.forgive_attempt(connection, _of_account(person.subject))
            if account.totp is None:
                accounts.forget_attempts(connection, _of_account(person.subject))
            if self._passwords.outdated(account.password):
                hashed = self._passwords.hash(password)
                accounts.set_password(connection, person.key, hashed, self._clock())


def _of_account(subject: str) -> Counted:
    return Counted(f"account {subject}", _FREE_ACCOUNT)


def _of_address(address: str) -> Counted:
    return Counted(f"address {address}", _FREE_ADDRESS)
