"""What an answer is worth: verifiers by rule, a judge by asking, checks around a call, and which answers are equal."""

from agentmesh.judging.checks import (
    AnswerCheck,
    CallableCheck,
    CallableFeasibility,
    CheckResult,
    FeasibilityCheck,
    FieldsCheck,
    InputsFeasibility,
    VerifierCheck,
)
from agentmesh.judging.equivalence import choice_key, json_key, key_for, number_key, text_key
from agentmesh.judging.judge import PromptedJudge
from agentmesh.judging.programs import ProgramCase, ProgramRunner
from agentmesh.judging.prompted_checks import PromptedCheck, PromptedFeasibility
from agentmesh.judging.verifiers import CallableVerifier, ExactVerifier, NumericVerifier, RegexVerifier

__all__ = [
    "AnswerCheck",
    "CallableCheck",
    "CallableFeasibility",
    "CallableVerifier",
    "CheckResult",
    "ExactVerifier",
    "FeasibilityCheck",
    "FieldsCheck",
    "InputsFeasibility",
    "NumericVerifier",
    "ProgramCase",
    "ProgramRunner",
    "PromptedCheck",
    "PromptedFeasibility",
    "PromptedJudge",
    "RegexVerifier",
    "VerifierCheck",
    "choice_key",
    "json_key",
    "key_for",
    "number_key",
    "text_key",
]
