"""The redact step: nothing of what it looks for is left, and nothing else is touched."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import Stop
from tailrace.ingest.dead_letters import dead_letter_batch
from tailrace.ingest.decoded import Rejected
from tailrace.kernels.cards import find_cards
from tailrace.model.batch import encode_batch
from tailrace.steps.redact import DETECTORS, Matches, Redact, replace_by_name
from tests.steps.rig import batch, pipeline, run, run_one

CARDS = {
    "visa": "4111111111111111",
    "visa 13": "4222222222222",
    "mastercard": "5555555555554444",
    "mastercard 2": "2223003122003222",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "diners": "30569309025904",
    "jcb": "3530111333300000",
    "unionpay 19": "6212345678900000003",
}
"""Numbers that payment providers publish for tests."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B, as it is written there."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


def cards_in(text: str) -> list[str]:
    """The rule of `kernels.cards` in plain Python: group by group, the longest first."""
    found, place = [], 0
    for group in re.finditer(r"[0-9]+", text):
        if group.start() < place or group[0][0] not in "23456":
            continue
        best, end, digits, before = None, group.start(), "", ""
        for count, part in enumerate(re.finditer(r"[0-9]+", text[group.start() :])):
            start = group.start() + part.start()
            if count and (start != end + 1 or text[end] not in " -" or len(before) not in range(3, 8)):
                break
            if count and len(part[0]) > 7:
                break
            before, end, digits = part[0], group.start() + part.end(), digits + part[0]
            if 13 <= len(digits) <= 19 and luhn(digits):
                best = end
            if len(digits) > 19:
                break
        if best is not None:
            found.append(text[group.start() : best])
            place = best
    return found


def kernel_cards(texts: list[str]) -> list[str]:
    data = "".join(texts).encode()
    starts, ends = find_cards(pa.array(["123 4111111111111111", *texts], pa.string())[1:])
    return [data[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS)
def test_cards_in_the_forms_people_write(number: str) -> None:
    """In one run, in groups of four with blanks or dashes, beside letters, signs and other numbers."""
    grouped = re.findall(r"\d{1,4}", number)
    for text in (number, " ".join(grouped), "-".join(grouped)):
        for line in (text, f"card={text},", f"pan:{text} cvc 123", f"é{text}日", f'{{"n":"{text}"}}', f"no.{text}x"):
            assert kernel_cards([line]) == [text], line


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # its check digit is wrong
        "14111111111111111",  # 17 digits from another industry
        "41111111111111111111111",  # too long to be one
        "1732212345678901234",  # a time in nanoseconds
        "550e8400-e29b-41d4-4716-446655440000",  # a UUID
        "2024-01-02 2024-01-03 2024-01-04",  # days
        "41 11 11 11 11 11 11 11",  # bytes, as hex dumps have them
        "41111111 11111111",
        "411111111 1111111",
        "4111.1111.1111.1111",
        "4111  1111  1111  1111",
    ],
)
def test_what_is_no_card(text: str) -> None:
    """Other long numbers, which logs are full of, stay as they are."""
    assert kernel_cards([text]) == []


PIECES = st.sampled_from(
    [
        "4111",
        "1111",
        "41",
        "2223",
        "0",
        "00",
        "411111111111111",
        "4111111111111111",
        "446655440000",
        " ",
        "-",
        " ",
        "a",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PIECES | st.text("0123456789 -", max_size=6), max_size=9).map("".join), max_size=4))
def test_the_kernel_finds_the_cards_of_its_twin(texts: list[str]) -> None:
    """Text by text, whatever stands in the texts beside it."""
    assert kernel_cards(texts) == [card for text in texts for card in cards_in(text)]


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789", min_size=12, max_size=18))
def test_luhn(digits: str) -> None:
    """Of ten numbers that differ in their last digit alone one is a card."""
    found = [number for last in "0123456789" if kernel_cards([number := f"4{digits}"[:18] + last])]
    assert len(found) == 1
    assert luhn(found[0])


SECRETS = {
    "email": [
        "joe.doe+x@mail.example.com",
        "a@b.co",
        "o'brien@x.example",
        "josé@bücher.example",
        "joe%40example.com",
    ],
    "ipv4": ["10.0.0.1", "255.255.255.255"],
    "ipv6": ["fe80::1ff:fe23:4567:890a", "2001:db8:0:0:0:0:2:1", "::ffff:192.0.2.128", "::1", "2001:db8:1::"],
    "token": [
        "Bearer abcdefghij.12345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "xoxb-1234567890-abcdef",
        "sk_live_" + "a" * 24,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMIIBOgIBAA==\n"
        "-----END RSA PRIVATE KEY-----",
        r"-----BEGIN PRIVATE KEY-----\r\nMIIBOgIBAAJBAKj34GkxFhD9\r\n-----END PRIVATE KEY-----",
        r"aws_secret_access_key\": \"" + "aB3/" * 10,
    ],
}
ALL_DETECTORS = [detector for several in DETECTORS.values() for detector in several]


@pytest.mark.parametrize(("name", "secret"), [(name, text) for name, texts in SECRETS.items() for text in texts])
def test_each_detector_finds_its_secrets(tmp_path: Path, name: str, secret: str) -> None:
    """In the message, in an attribute, and as the name of one; what is around them stays."""
    toml = f'[[step]]\nkind = "redact"\ndetect = ["{name}"]'
    event = {"message": f"x {secret} y", "host": secret, "attributes": {"k": secret, secret: "v"}}
    assert run_one(tmp_path, toml, event) == {
        "message": f"x [{name}] y", "host": f"[{name}]", "attributes": {"k": f"[{name}]", f"[{name}]": "v"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *("10:11:12", "std::string", "00:1A:2b:3c:4D:5e", "256.1.1.1", "1.2.3", "user@host", "@decorator"),
        *("bearer of bad news", "basic test", "12:30", "::"),
    ],
)
def test_what_only_looks_like_a_secret_stays(tmp_path: Path, text: str) -> None:
    """Clock times, C++ names, MAC addresses, versions and prose."""
    toml = f"[[step]]\nkind = 'redact'\ndetect = {list(DETECTORS)}"
    assert run_one(tmp_path, toml, {"message": text})["message"] == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("redis://:secret@cache:6379", "redis[token]cache:6379"),
        ("https://joe:secret@example.com/", "https[token]example.com/"),
        ("mail='joe@example.com'", "mail='[email]'"),
        ("/unsubscribe?to=joe%40example.com&x=1", "/unsubscribe?to=[email]&x=1"),
        ("joe@example.com_old", "[email]_old"),
        ("from 2001:db8:1::/48 to [2001:db8::2]:443", "from [ipv6]/48 to [[ipv6]]:443"),
        ("fe80::1%eth0, 1:2:3:4:5:6:7::", "[ipv6]%eth0, [ipv6]"),
    ],
)
def test_what_stands_around_a_secret_stays(tmp_path: Path, text: str, redacted: str) -> None:
    """In URLs, quotes and brackets."""
    toml = f"[[step]]\nkind = 'redact'\ndetect = {list(DETECTORS)}"
    assert run_one(tmp_path, toml, {"message": text})["message"] == redacted


def test_the_actions(tmp_path: Path) -> None:
    """`drop` leaves the name, `mask` the last four characters, `hash` an HMAC that is equal for equal cards."""
    events = [{"message": "a 4111111111111111 b"}, {"message": "4111 1111 1111 1111"}, {"message": "none"}]
    step = '[[step]]\nkind = "redact"\ndetect = ["card"]\n'
    dropped = [event["message"] for event in run(pipeline(tmp_path, step), *events)]
    assert dropped == ["a [card] b", "[card]", "none"]
    masked = [event["message"] for event in run(pipeline(tmp_path, f'{step}action = "mask"'), *events)]
    assert masked == ["a ************1111 b", "*" * 15 + "1111", "none"]
    key = "0123456789abcdef"
    pipe = pipeline(tmp_path, f'{step}action = "hash"\nkey_env = "KEY"', environment={"KEY": key})
    digest = hmac.new(key.encode(), b"4111111111111111", hashlib.sha256).hexdigest()[:16]
    assert [event["message"] for event in run(pipe, *events)] == [f"a [card:{digest}] b", f"[card:{digest}]", "none"]


def test_a_short_secret_is_masked_whole(tmp_path: Path) -> None:
    """The last four of six characters would tell most of it."""
    toml = "[[step]]\nkind = 'redact'\naction = 'mask'\npatterns = { pin = 'pin=[0-9]+' }"
    assert run_one(tmp_path, toml, {"message": "x pin=12 pin=123456"})["message"] == "x ****** ******3456"


def test_named_fields_alone(tmp_path: Path) -> None:
    """Other fields stay as they are."""
    toml = "[[step]]\nkind = 'redact'\ndetect = ['card']\nfields = ['message', 'pan']"
    card = CARDS["visa"]
    event = {"message": card, "service": card, "attributes": {"pan": card, "pan2": card, card: "v"}}
    assert run_one(tmp_path, toml, event) == {
        "message": "[card]", "service": card, "attributes": {"pan": "[card]", "pan2": card, card: "v"},
    }  # fmt: skip


def test_names_that_become_equal_keep_their_values(tmp_path: Path) -> None:
    """Two attributes named by cards: the second gets a number."""
    toml = "[[step]]\nkind = 'redact'\ndetect = ['card']"
    attributes = {CARDS["visa"]: "1", "a": "2", CARDS["amex"]: "3", CARDS["jcb"]: "4"}
    assert run_one(tmp_path, toml, {"attributes": attributes})["attributes"] == {
        "[card]": "1", "a": "2", "[card]~2": "3", "[card]~3": "4",
    }  # fmt: skip


def test_marks_of_the_step_in_a_text(tmp_path: Path) -> None:
    """A text that holds the noncharacter by which texts are cut is redacted as well."""
    toml = "[[step]]\nkind = 'redact'\ndetect = ['email']"
    assert run_one(tmp_path, toml, {"message": "\U0010ffffa@b.co\U0010ffff"})["message"] == "\ufffd[email]\ufffd"


SECRET_TEXTS = st.sampled_from([*CARDS.values(), *(text for texts in SECRETS.values() for text in texts)])
TEXTS = st.lists(st.text(max_size=4) | SECRET_TEXTS.map(lambda text: f" {text} "), max_size=4).map("".join)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(TEXTS, st.none() | TEXTS, st.dictionaries(st.text(max_size=3) | SECRET_TEXTS, TEXTS, max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_no_secret_is_left_in_the_bytes(rows: list[tuple[str, str | None, dict[str, str]]]) -> None:
    """Wherever they stand, beside whatever: the batch that goes into the log holds none of them."""
    events = [{"message": message, "host": host, "attributes": attributes} for message, host, attributes in rows]
    redact = Redact(ALL_DETECTORS, replace_by_name)
    redacted = redact.apply(batch(events))
    redacted.validate(full=True)
    # A copy, so that no buffer is shared with what was there before.
    stored = "\0".join(
        "\0".join([row["message"], row["host"] or "", *(text for pair in row["attributes"] for text in pair)])
        for row in redacted.to_pylist()
    )
    for text in (*CARDS.values(), *(text for texts in SECRETS.values() for text in texts)):
        if text not in ("::1", "a@b.co"):  # parts of other texts may be put together to these
            assert text not in stored
    assert redacted.column("log_row").equals(batch(events).column("log_row"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab@.1 :", max_size=12), min_size=1, max_size=5))
def test_a_pattern_replaces_what_re2_finds(texts: list[str]) -> None:
    """As `re.sub` does, text by text."""
    pattern = r"[ab]+@[ab1]+"
    column = pa.array(["x", *texts], pa.string())[1:]
    entries = batch([{"message": text} for text in column.to_pylist()])
    redacted = Redact([Matches("m", pattern)], replace_by_name).apply(entries)
    assert redacted.column("message").to_pylist() == [re.sub(pattern, "[m]", text) for text in texts]


def test_dead_letters_are_redacted_as_text(tmp_path: Path) -> None:
    """Bytes that are no event, UTF-8 or not, and their reasons, whatever `where` and `fields` the steps have."""
    toml = "[[step]]\nkind = 'redact'\nwhere = 'service:x'\nfields = ['pan']\ndetect = ['card', 'email']"
    everything = bytes(range(256))
    raws = ['{"é": "4111111111111111'.encode(), b"\xff\x00 a@b.co \xfe", everything, b""]
    rejected = [Rejected(line, f"a@b.co in line {line}", raw) for line, raw in enumerate(raws, 1)]
    letters = dead_letter_batch(rejected, source="here", content_type="x", now_us=0)
    redacted = pipeline(tmp_path, toml).redact_letters(letters)
    assert redacted.column("raw").to_pylist() == ['{"é": "[card]'.encode(), b"\xff\x00 [email] \xfe", everything, b""]
    assert redacted.column("reason").to_pylist() == [f"[email] in line {line}" for line in range(1, 5)]
    assert redacted.drop_columns(["raw", "reason"]).equals(letters.drop_columns(["raw", "reason"]))
    assert pipeline(tmp_path, "").redact_letters(letters) is letters


def test_a_dead_letter_of_broken_text_is_redacted_beyond_ascii(tmp_path: Path) -> None:
    """A byte that is no UTF-8 hides no name around it, and stays; a batch without letters stays one."""
    toml = "[[step]]\nkind = 'redact'\npatterns = { name = 'Müller', edge = '\\b' }"
    rejected = [Rejected(1, "", b"\xff M\xc3\xbcller \x80\xc3"), Rejected(2, "", "\U0010fe80 Müller".encode())]
    letters = dead_letter_batch(rejected, source="here", content_type="x", now_us=0)
    pipe = pipeline(tmp_path, toml)
    assert pipe.redact_letters(letters).column("raw").to_pylist() == [
        b"\xff [name] \x80\xc3", "\U0010fe80 [name]".encode(),
    ]  # fmt: skip
    assert pipe.redact_letters(letters.slice(0, 0)).num_rows == 0


def test_hostile_secrets_are_linear() -> None:
    """A megabyte in which each beginning of a secret might go on to the end; in square time it took minutes."""
    for piece in ("eyJ-AKIAIOSFODNN7EXAMPLE-", "a@b.cc-", "://:-", "basic AAAAAAAA-", "1:2::3:", "eyJaaaaa.eyJaa"):
        text = piece * (1_000_000 // len(piece))
        assert Redact(ALL_DETECTORS, replace_by_name).texts(pa.array([text]))[0].as_py()


def test_hostile_patterns_are_linear(tmp_path: Path) -> None:
    """What takes a backtracking engine longer than the sun has is done at once, on a megabyte."""
    toml = "[[step]]\nkind = 'redact'\npatterns = { evil = '(a+)+$', worse = '(x|x)*y' }"
    text = "a" * 500_000 + "!" + "x" * 500_000
    assert run_one(tmp_path, toml, {"message": text})["message"] == text


def test_hostile_digits_are_linear() -> None:
    """A megabyte of groups that could each begin a card."""
    for text in ("4111 " * 200_000, "4 1 " * 200_000, "4" * 1_000_000, "411-" * 250_000):
        starts, ends = find_cards(pa.array([text]))
        assert (ends - starts >= 13).all()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("patterns = { p = 'a*' }", "patterns.p: it matches an empty text"),
        ("patterns = { p = '(?<=a)b' }", "patterns.p: not a regular expression that RE2 knows"),
        ("patterns = { p = '(x{500}){500}' }", "patterns.p: its repetitions written out are"),
        ("", "say what to look for"),
        ("detect = ['card']\naction = 'hash'", "`hash` needs a key"),
        ("detect = ['card']\naction = 'hash'\nkey_env = 'NO'", "key_env: the environment variable NO has 0 bytes"),
        ("detect = ['card']\naction = 'hash'\nkey_file = 'no'", "key_file: "),
        ("detect = ['card']\nkey_env = 'K'", "`drop` uses no key"),
        ("detect = ['pets']", "detect.0: Input should be 'card', 'email'"),
        ("detect = ['card']\nfields = ['timestamp']", "fields: timestamp is a time"),
        ("detect = ['card']\nfields = ['message', 'user.*']", "fields: 'user.*' is more than one field: name each"),
    ],
)
def test_what_is_refused_at_the_start(tmp_path: Path, step: str, reason: str) -> None:
    """The place and the reason are told."""
    with pytest.raises(Stop, match=r"step 1 \(redact\)") as caught:
        pipeline(tmp_path, f"[[step]]\nkind = 'redact'\n{step}")
    assert reason in str(caught.value)


def test_the_redacted_batch_holds_no_old_buffer() -> None:
    """What is written to the log is the redacted text, and not a view of the one before."""
    card = CARDS["visa"]
    events = batch([{"message": f"{card} {number}", "attributes": {"k": card}} for number in range(50)])
    redact = Redact(DETECTORS["card"], replace_by_name)
    buffers = [
        buffer.to_pybytes() for column in redact.apply(events).columns for buffer in column.buffers() if buffer
    ]
    assert not any(card.encode() in buffer for buffer in buffers)
    assert np.array_equal(redact.apply(events).column("log_row"), events.column("log_row"))
    assert card.encode() not in encode_batch(redact.apply(events))
