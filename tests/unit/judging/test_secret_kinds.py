"""What is taken for a secret, and what is not."""

import time
from pathlib import Path

import pytest

from agentmesh import Secrets
from agentmesh.recorded import load_set
from agentmesh.testing.planted import CARDS, CUSTOMER, CUSTOMERS, EMAILS, IBANS, KEYS, PHONES

BY_KIND = {"email": EMAILS, "card": CARDS, "phone": PHONES, "iban": IBANS, "key": KEYS, "customer": CUSTOMERS}
MEBI = 2**20
SETS = Path(__file__).parents[3] / "benchmarks" / "sets"


def found_in(text: str, **options: object) -> list[tuple[str, str]]:
    """Return kind and text of each secret."""
    secrets = Secrets.model_validate(options)
    return [(found.kind, text[found.start : found.end]) for found in secrets.find(text)]


@pytest.mark.parametrize(("kind", "secret"), [(kind, one) for kind, many in BY_KIND.items() for one in many])
def test_a_secret_is_found_whole_in_a_sentence(kind: str, secret: str) -> None:
    assert found_in(f"It says: {secret}, and then more.", patterns=CUSTOMER) == [(kind, secret)]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2", "hunter2"),
        ("DB_PASSWORD: s3cr,et;x", "s3cr,et;x"),
        ('{"password": "correct horse", "user": "bob"}', "correct horse"),
        ("token => abcdef.", "abcdef"),
        ("client_secret := 'a b c'", "a b c"),
        ("the api key: k9k9k9", "k9k9k9"),
        ("My password is Sw0rdfish!", "Sw0rdfish"),
        ("my pin is 4821", "4821"),
        ("Authorization: Bearer abc123abc123abc123", "abc123abc123abc123"),
        ("postgres://bob:pa55@db:5432/x", "pa55"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEAx3Zq9Qp\n and no end", None),
        ("call me at 5551234567", "5551234567"),
        ("Phone: 555 123 4567", "555 123 4567"),
        ("my mobile number is (0)171 123 4567", "(0)171 123 4567"),
        ("card 12 4111111111111111 9", "4111111111111111"),
    ],
)
def test_what_stands_beside_it_gives_a_secret_away(text: str, secret: str | None) -> None:
    found = found_in(text)
    assert [one for _, one in found] == [secret or text[: text.index("\n and")]]


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset my password?",
        "def login(user: str, password: str) -> None: ...",
        "password = getpass()",
        "password=${PASSWORD}",
        "Password: required",
        "max_tokens=512, token_limit: 4096",
        "Secretary: Anna Smith",
        "The bearer of characteristics",
        "What does -----BEGIN PRIVATE KEY----- mean?",
        "Order 4111 1111 1111 1112 from 1990-2010",
        "ratio 0.4242424242424242",
        "4 12 15 33 47 51 62 70 81 92",
        "On 01.02.2023 at 10:30, 05/06/2019 07/08/2020, 2024-05-17",
        "It cost $1,234,567.89 or 250 300 3500 units",
        "call 12 people in 2010-2015",
        "phone from 2010-2015",
        "0110 1010 1100",
        "run 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "counter-revolutionary-1917-movements-of-2001",
        "https://example.com/a/very/long/path/to/some/page-2",
        "a@b and @someone and x@",
        "DE89 3704 0044 0532 0130 01",
        "DE89 3704",
        "02 1.0100 0.1005 1.1158",
        "00000000000000000000000000000000",
    ],
)
def test_what_only_looks_like_a_secret_is_left(text: str) -> None:
    assert found_in(text) == []


def test_of_two_that_overlap_both_are_hidden_under_the_kind_of_the_longer() -> None:
    assert found_in("password=ann.lee@example.com") == [("email", "ann.lee@example.com")]
    assert found_in("ab12345678cd", patterns={"long": r"ab\d{8}", "short": r"\d{4}cd"}) == [("long", "ab12345678cd")]
    assert found_in("ab1234xyzcd", patterns={"early": r"ab\d", "long": r"\d{2}4xyzcd|1234xyzcd"}) == [
        ("long", "ab1234xyzcd")
    ]


def test_kinds_that_are_not_named_are_left() -> None:
    assert found_in("ann@example.com 4111111111111111", kinds=("card",)) == [("card", "4111111111111111")]


def test_a_pattern_that_names_what_reading_narrow_takes_away_still_holds() -> None:
    assert found_in("\uff23\uff11", patterns={"wide": "\uff23\uff11"}) == [("wide", "\uff23\uff11")]


def test_what_is_kept_is_no_secret_in_any_case() -> None:
    assert found_in("Help@Shop.example, ann@shop.example", keep=("help@shop.example",)) == [
        ("email", "ann@shop.example")
    ]


@pytest.mark.parametrize("name", ["clinc150", "hwu64", "mmlu_pro"])
def test_of_tasks_that_people_ask_hardly_any_is_taken_to_hold_a_secret(name: str) -> None:
    texts = load_set(SETS / name).open("val").texts[:1000]
    assert sum(bool(found_in(text)) for text in texts) < len(texts) / 200


HOSTILE = ("1 ", "411 ", "a@", "a@a.", "DE89 ", "01 ", "+1", "(", "password=", '"password":"', "aA1-", "eyJaaaaaa.")


@pytest.mark.parametrize("piece", [*HOSTILE, "-----BEGIN PRIVATE KEY-----", "a\u200b", "call me at ", "://x:", "sk-"])
def test_time_grows_no_faster_than_the_text(piece: str) -> None:
    def took(size: int) -> float:
        begun = time.process_time()
        Secrets().find((piece * (size // len(piece) + 1))[:size])
        return time.process_time() - begun

    longer = min(took(MEBI // 8) for _ in range(3))
    assert longer < 60 * max(took(MEBI // 128), 0.003)  # 16 times the text; a square would be 256
