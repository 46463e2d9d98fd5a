"""What an answer is worth: verifiers by rule, a judge by asking, and when two answers are the same."""

from agentmesh.judging.equivalence import choice_key, json_key, key_for, number_key, text_key
from agentmesh.judging.judge import PromptedJudge
from agentmesh.judging.programs import ProgramCase, ProgramRunner
from agentmesh.judging.verifiers import CallableVerifier, ExactVerifier, NumericVerifier, RegexVerifier

__all__ = [
    "CallableVerifier",
    "ExactVerifier",
    "NumericVerifier",
    "ProgramCase",
    "ProgramRunner",
    "PromptedJudge",
    "RegexVerifier",
    "choice_key",
    "json_key",
    "key_for",
    "number_key",
    "text_key",
]
