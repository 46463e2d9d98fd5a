"""Every error this package raises, as one tree.

    AgentMeshError
    |- ConfigError              a setting, a --app or a file that cannot be used as given
    |  `- MissingExtraError     an optional dependency is not installed; names the pip line
    |- RegistrationError        an agent cannot be registered: duplicate or unusable
    |- RoutingError             a router cannot decide
    |  |- NoCandidateError      no agent passes the gates
    |  `- RouterOutputError     a router returned something that is no decision
    |- AgentError               an agent failed
    |  `- AgentOutputError      it returned something that is no answer
    |- LlmError                 a chat or embeddings endpoint failed
    |- BudgetError              a limit was reached
    |- RecordedSetError         a recorded set is missing a file or has a malformed line
    |- ExchangeError            an export or import cannot be written or read
    |- StoreError               the trace store cannot be read or written
    |  |- EmptyStoreError     it holds no tables yet, and was opened to be read
    |  |- RunNotFoundError
    |  |- DuplicateEventError
    |  |- DuplicateFeedbackError
    |  `- SchemaVersionError
    |- ReplayError              a stored run cannot be executed again
    |  `- ReplayMissError       the trace lacks an answer that the replay asked for
    `- PluginError              an entry point cannot be loaded

Messages say what happened, the value with ``!r``, and what would be accepted.
"""


class AgentMeshError(Exception):
    """The root: catching it catches everything this package raises on purpose."""


class ConfigError(AgentMeshError):
    """A setting, a ``--app`` or a file cannot be used as given."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed.

    >>> print(MissingExtraError("onnxruntime", extra="onnx"))
    'onnxruntime' is not installed; run: pip install 'agentmesh-routing[onnx]'
    """

    def __init__(self, package: str, *, extra: str) -> None:
        """Name the missing package and the extra that brings it."""
        super().__init__(f"{package!r} is not installed; run: pip install 'agentmesh-routing[{extra}]'")
        self.package = package
        self.extra = extra


class RegistrationError(AgentMeshError):
    """An agent cannot be registered."""


class RoutingError(AgentMeshError):
    """A router cannot decide."""


class NoCandidateError(RoutingError):
    """No registered agent passes the task's gates."""


class RouterOutputError(RoutingError):
    """A router returned something that is no decision."""


class AgentError(AgentMeshError):
    """An agent failed."""


class AgentOutputError(AgentError):
    """An agent returned something that is neither text nor an ``Answer``."""


class LlmError(AgentMeshError):
    """A chat or embeddings endpoint failed.

    ``retryable`` says whether the same call may succeed later (rate limit, overload, lost connection).
    """

    def __init__(self, message: str, *, retryable: bool = False, status: int | None = None) -> None:
        """Keep the message, whether a retry makes sense, and the HTTP status if there was one."""
        super().__init__(message)
        self.retryable = retryable
        self.status = status


class BudgetError(AgentMeshError):
    """A limit on money, calls or time was reached."""


class RecordedSetError(AgentMeshError):
    """A recorded set is missing a file or holds a malformed line."""


class ExchangeError(AgentMeshError):
    """A file of exported traces, or the place of an export, cannot be used as it is."""


class StoreError(AgentMeshError):
    """The trace store cannot be read or written."""


class EmptyStoreError(StoreError):
    """The database holds no tables yet, and was not to be given any."""


class RunNotFoundError(StoreError):
    """No run with this id is stored."""


class DuplicateEventError(StoreError):
    """An event with this run id and sequence number is already stored."""


class DuplicateFeedbackError(StoreError):
    """This source has scored this answer already; nothing was stored or learned."""


class SchemaVersionError(StoreError):
    """The database's schema is newer than this package, or none of ours."""


class ReplayError(AgentMeshError):
    """A stored run cannot be executed again."""


class ReplayMissError(ReplayError):
    """The trace lacks an answer that the replay asked for."""


class PluginError(AgentMeshError):
    """An entry point cannot be loaded."""
