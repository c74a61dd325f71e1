"""One table of failures: what can go wrong with a request, whatever the contract.

Failure
├── BadRequest             a parameter or the body breaks a rule of the contract
├── Unauthorized           no valid credentials
├── Forbidden              valid credentials that do not reach so far: another user's path, a scope that is missing
├── PathNotFound           no such path in the contract
├── MethodNotAllowed       the path does not take this method
├── RequestTimeout         the request did not arrive whole in time
├── ContentTooLarge        the body is larger than the service reads
├── UnsupportedMediaType   the body is not of a media type that the operation takes
├── RequestHeaderFieldsTooLarge  the token is longer than the service reads
├── TooManyRequests        the user asks for more than a fair share
├── Unavailable            something that is needed is away for now
└── InternalError          anything unexpected

A class has the name of its response in `components.responses`, where status, sentence and fixed headers are read. What
stands here is used where a contract does not name that response (`openapi.bridge.contract.Contract.refusal`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import ClassVar, NamedTuple


class Violation(NamedTuple):
    """One broken rule of the contract: its sentence, the rule's keyword and where it was broken.

    Args:
        pointer: the JSON pointer (RFC 6901) into the body, None outside of it.
        parameter: the parameter's name, None in the body.
    """

    sentence: str
    code: str
    pointer: str | None = None
    parameter: str | None = None


Violations = Callable[[], Iterable[Violation]] | Sequence[Violation]


class Refusal(NamedTuple):
    """The answer to a request that is refused: a sentence for people, further headers, a name for programs."""

    status: int
    sentence: str
    headers: Mapping[str, str] = MappingProxyType({})
    name: str = ""


class Failure(Exception):  # noqa: N818 - a request that is refused is no error of the program
    """A request that cannot be answered as asked.

    Args:
        reason: for the log only; it may name details that the client must not see.
        headers: what the refusal carries beside the contract's own, by name.
        facts: what the braces of the contract's sentence stand for, by name.
    """

    # Connexion's security picks the most specific of several failures by this name.
    status_code: ClassVar[int] = 500
    sentence: ClassVar[str] = "Something went wrong on our side. The fault has been logged"

    def __init__(
        self,
        reason: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.headers = headers
        self.facts = facts


class BadRequest(Failure):
    """Args:
    sentence: for the client; it names the field and the rule and never echoes what was sent.
    violations: all broken rules, or what lists them; asked only where the client wants to know.
    """

    status_code = 400

    def __init__(self, sentence: str, violations: Violations = ()) -> None:
        super().__init__(sentence)
        self._violations = violations

    def violations(self) -> Iterator[Violation]:
        """All broken rules that were found; a sentence that stands for no rule is one violation itself."""
        found = self._violations() if callable(self._violations) else self._violations
        yield from found or [Violation(self.reason, "request")]

    def joined_by(self, check: Callable[[], object]) -> "BadRequest":
        """This refusal with the violations of a further check, which is made where the client wants to know."""
        return BadRequest(self.reason, lambda: chain(self.violations(), violations_of([check])))


def violations_of(checks: Iterable[Callable[[], object]]) -> Iterator[Violation]:
    """What the checks raise BadRequest for, all of it."""
    for check in checks:
        try:
            check()
        except BadRequest as refused:
            yield from refused.violations()


def unreadable(sentence: str, pointer: str = "") -> BadRequest:
    """The refusal of a body, or of what stands in it at a pointer, that cannot be read at all."""
    return BadRequest(sentence, [Violation(sentence, "content", pointer=pointer)])


class Unauthorized(Failure):
    status_code = 401
    sentence = "Unauthorized"


class Forbidden(Failure):
    status_code = 403
    sentence = "Forbidden"


class PathNotFound(Failure):
    status_code = 404
    sentence = "Not Found"


class MethodNotAllowed(Failure):
    """Args: allow: the value of the `Allow` header."""

    status_code = 405
    sentence = "Method not allowed. The Allow header lists the methods that this path takes"

    def __init__(self, allow: str) -> None:
        super().__init__(headers={"Allow": allow})


class RequestTimeout(Failure):
    status_code = 408
    sentence = "The request took too long to arrive. Send it again on a new connection"


class ContentTooLarge(Failure):
    status_code = 413
    sentence = "The request body must be {x-max-body-bytes} bytes or less"


class RequestHeaderFieldsTooLarge(Failure):
    status_code = 431
    sentence = "The request's headers are longer than the service reads"


class UnsupportedMediaType(Failure):
    """Args:
    media_types: those that the operation takes, with commas between.
    method: the request's.
    is_encoded: whether a Content-Encoding is at fault.
    """

    status_code = 415
    sentence = "The request body must be {media-type} in UTF-8, without Content-Encoding"

    def __init__(self, media_types: str, method: str = "", *, is_encoded: bool = False) -> None:
        # The answer says what would have been taken (RFC 9110, section 15.5.16; RFC 5789, section 2.2).
        names = ("Accept", "Accept-Patch") if method == "PATCH" else ("Accept",)
        headers = dict.fromkeys(names, media_types)
        if is_encoded:  # And only then (RFC 9110, section 12.5.3).
            headers["Accept-Encoding"] = "identity"
        super().__init__(facts={"media-type": media_types}, headers=headers)


class _ForNow(Failure):
    """Args: retry_after: the seconds after which the same request may be answered."""

    def __init__(self, reason: str = "", retry_after: int = 1) -> None:
        super().__init__(reason, headers={"Retry-After": str(retry_after)})
        self.retry_after = retry_after


class TooManyRequests(_ForNow):
    status_code = 429
    sentence = "You have too many requests under way. Wait for their answers, then try again"


class Unavailable(_ForNow):
    status_code = 503
    sentence = "The service is temporarily unavailable. Try again shortly"


class InternalError(Failure):
    pass
