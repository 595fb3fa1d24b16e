"""Everything that can go wrong, once.

    GatewayError                     500 exception    207 AE
    ├── UnreadableMessage            400 structure    100 AR   no readable MSH
    │   ├── FusedMessages            400 structure    100 AR   two messages in one frame
    │   └── MessageTooLarge          413 too-long     104 AR
    ├── UnsupportedMessage           422 not-supported 200 AR  message type
    │   ├── UnknownSender            422 not-supported 200 AR
    │   ├── UnsupportedEvent         422 not-supported 201 AR
    │   ├── UnexpectedProcessingId   422 not-supported 202 AR
    │   └── UnsupportedVersion       422 not-supported 203 AR
    ├── InvalidContent               422 value        207 AE   kept and held, by policy refused
    │   ├── InvalidCharset           422 structure    102 AE
    │   ├── MissingSegment           422 structure    100 AE
    │   ├── MissingField             422 required     101 AE
    │   ├── InvalidValue             422 value        102 AE
    │   ├── InvalidAttachment        422 value        102 AE
    │   ├── UnmappedCode             422 code-invalid 103 AE
    │   └── NotConformant            422 invariant    207 AE
    ├── IdentityHold                 422 conflict     204 AE   kept and held
    ├── StoreUnavailable             503 transient    207 AE
    ├── LookupUnavailable            503 transient    207 AE   the part waits
    ├── NotFound                     404 not-found
    ├── Gone                         410 deleted
    ├── InvalidRequest               400 invalid
    │   └── InvalidSearch            400 invalid
    ├── NotAllowed                   405 not-supported
    ├── NotAcceptable                406 not-supported
    ├── UnsupportedMedia             415 not-supported
    ├── TooCostly                    403 too-costly
    ├── Unauthorized                 401 login
    ├── Forbidden                    403 forbidden
    │   └── SignInRefused            403 forbidden
    │       └── TooManyAttempts      429 throttled
    ├── VersionConflict              409 conflict
    ├── PreconditionFailed           412 conflict
    ├── InvalidMapping               500 exception             a mapping folder, for the analyst
    └── InvalidSetting               500 exception             a setting, for the operator

Each class carries an HTTP status, a FHIR issue type, an HL7 table 0357 code and the
acknowledgement (table 0008) it leads to; its docstring is the default text. Text says where,
never what was there: no field value ever enters an exception.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Hold(StrEnum):
    """Why a part waits for a person: the closed list of reasons."""

    CHARSET = "charset"
    STRUCTURE = "structure"
    CONTENT = "content"
    ATTACHMENT = "attachment"
    CODE = "code"
    CONFORMANCE = "conformance"
    PATIENT_IDENTIFIER = "patient-identifier"
    PATIENT_UNKNOWN = "patient-unknown"
    PATIENT_MISMATCH = "patient-mismatch"
    REPORT_PATIENT = "report-patient"
    REPORT_ORDER = "report-order"
    REPORT_UNKNOWN = "report-unknown"
    REPORT_FINDINGS = "report-findings"
    DEFECT = "defect"


Evidence = tuple[tuple[str, str], ...]
"""What was compared, by name, and whether it agreed; never a value."""


class GatewayError(Exception):
    """The gateway failed; nothing was lost."""

    status: ClassVar[int] = 500
    issue: ClassVar[str] = "exception"
    code: ClassVar[str] = "207"
    answer: ClassVar[str] = "AE"
    hold: ClassVar[Hold] = Hold.DEFECT

    def __init__(self, text: str = "", *, where: str = "") -> None:
        self.text = text or (type(self).__doc__ or "").split("\n")[0]
        self.where = where
        super().__init__(f"{where}: {self.text}" if where else self.text)


class UnreadableMessage(GatewayError):
    """The message has no readable MSH segment."""

    status, issue, code, answer, hold = 400, "structure", "100", "AR", Hold.STRUCTURE


class FusedMessages(UnreadableMessage):
    """Two messages arrived in one frame."""


class MessageTooLarge(UnreadableMessage):
    """The message is larger than this gateway accepts."""

    status, issue, code = 413, "too-long", "104"


class UnsupportedMessage(GatewayError):
    """This message type is not accepted from this sender."""

    status, issue, code, answer = 422, "not-supported", "200", "AR"


class UnknownSender(UnsupportedMessage):
    """No mapping is configured for this sending application and facility."""


class UnsupportedEvent(UnsupportedMessage):
    """This trigger event is not accepted from this sender."""

    code = "201"


class UnexpectedProcessingId(UnsupportedMessage):
    """This processing id is not expected from this source."""

    code = "202"


class UnsupportedVersion(UnsupportedMessage):
    """This HL7 version is not supported."""

    code = "203"


class InvalidContent(GatewayError):
    """The message content could not be understood."""

    status, issue, hold = 422, "value", Hold.CONTENT


class InvalidCharset(InvalidContent):
    """The bytes are not valid in the declared character set."""

    issue, code, hold = "structure", "102", Hold.CHARSET


class MissingSegment(InvalidContent):
    """A required segment is missing."""

    issue, code, hold = "structure", "100", Hold.STRUCTURE


class MissingField(InvalidContent):
    """A required field is empty."""

    issue, code, hold = "required", "101", Hold.STRUCTURE


class InvalidValue(InvalidContent):
    """A value is not of its data type."""

    code = "102"


class InvalidAttachment(InvalidContent):
    """An embedded document is broken."""

    code, hold = "102", Hold.ATTACHMENT


class UnmappedCode(InvalidContent):
    """A code that decides the meaning is not in the code table."""

    issue, code, hold = "code-invalid", "103", Hold.CODE


class NotConformant(InvalidContent):
    """A composed resource breaks its profile."""

    issue, hold = "invariant", Hold.CONFORMANCE


class IdentityHold(GatewayError):
    """Who the patient is could not be decided safely."""

    status, issue, code, hold = 422, "conflict", "204", Hold.PATIENT_MISMATCH

    def __init__(
        self, reason: Hold, text: str = "", *, where: str = "", evidence: Evidence = ()
    ) -> None:
        super().__init__(text, where=where)
        self.reason = reason
        self.evidence = evidence


class StoreUnavailable(GatewayError):
    """The store cannot take anything at the moment; send it again."""

    status, issue = 503, "transient"


class LookupUnavailable(GatewayError):
    """The other index of patients gives no answer at the moment."""

    status, issue = 503, "transient"


class NotFound(GatewayError):
    """There is no such resource."""

    status, issue = 404, "not-found"


class Gone(GatewayError):
    """The resource was deleted."""

    status, issue = 410, "deleted"


class InvalidRequest(GatewayError):
    """The request is not valid."""

    status, issue = 400, "invalid"


class InvalidSearch(InvalidRequest):
    """The search is not valid."""


class NotAllowed(GatewayError):
    """This method is not allowed here."""

    status, issue = 405, "not-supported"


class NotAcceptable(GatewayError):
    """None of the requested formats is served."""

    status, issue = 406, "not-supported"


class UnsupportedMedia(GatewayError):
    """This content type is not accepted here."""

    status, issue = 415, "not-supported"


class TooCostly(GatewayError):
    """The query asks for too much."""

    status, issue = 403, "too-costly"


class Unauthorized(GatewayError):
    """A valid access token is required."""

    status, issue = 401, "login"


class Forbidden(GatewayError):
    """The access token does not allow this."""

    status, issue = 403, "forbidden"


class SignInRefused(Forbidden):
    """You could not be signed in."""

    def __init__(self, reason: str, text: str = "", *, person: str = "") -> None:
        super().__init__(text)
        self.reason, self.person = reason, person


class TooManyAttempts(SignInRefused):
    """There were too many attempts; wait a quarter of an hour, then try again."""

    status, issue = 429, "throttled"


class VersionConflict(GatewayError):
    """Somebody else changed this first."""

    status, issue, code = 409, "conflict", "206"


class PreconditionFailed(GatewayError):
    """A condition of the request does not hold."""

    status, issue = 412, "conflict"


class InvalidMapping(GatewayError):
    """The mapping is not valid."""


class InvalidSetting(GatewayError):
    """A setting is not valid."""


_OF_HOLD: dict[str, type[GatewayError]] = {
    Hold.CHARSET: InvalidCharset,
    Hold.STRUCTURE: MissingSegment,
    Hold.CONTENT: InvalidContent,
    Hold.ATTACHMENT: InvalidAttachment,
    Hold.CODE: UnmappedCode,
    Hold.CONFORMANCE: NotConformant,
    Hold.DEFECT: GatewayError,
}


def error_of(hold: str, text: str, where: str) -> GatewayError:
    """Make the error that says to a sender why its message is held; any other is of identity."""
    made = _OF_HOLD.get(hold)
    return made(text, where=where) if made else IdentityHold(Hold(hold), text, where=where)
