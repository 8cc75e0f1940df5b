"""A text of a buyer that repeats contact data is known by it in every usual spelling, and others are left alone."""

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.canary import CONTACT, SPELLINGS

from exchange.rules.contact import Contact, nothing_kept
from exchange.values.bid import Accepted, NotSent, Rejected, Unknown
from exchange.values.reason import Reason
from exchange.values.vertical import Field, FieldType, Lead, Stage, Vertical

TYPES = {
    "first_name": FieldType.TEXT,
    "phone": FieldType.PHONE,
    "email": FieldType.EMAIL,
    "born": FieldType.DATE,
    "street": FieldType.TEXT,
    "home": FieldType.US_ZIP,
    "member": FieldType.INTEGER,
    "words": FieldType.TEXT,
    "owner": FieldType.BOOLEAN,
    "names": FieldType.TEXT,
}
VERTICAL = Vertical(
    "auto",
    {name: Field(name, kind, Stage.POST, multiple=name == "names") for name, kind in TYPES.items()}
    | {"city": Field("city", FieldType.TEXT, Stage.PING)},
)
LEAD: Lead = CONTACT | {"phone": "+13125550177", "email": CONTACT["email"].lower()}
ODD: Lead = {
    "first_name": "Li Çelik",
    "phone": "+13125550177",
    "email": "j.o@example.com",
    "born": "1985-04-12",
    "street": "1200 North Michigan Avenue Apt 4",
    "home": "60699",
    "member": 881234,
    "words": "Please call after work and quote my house",
    "owner": True,
    "names": ["Rover Quixote"],
    "city": "Springfield",
}

Spell = Callable[[str], str]
WAYS: tuple[Spell, ...] = (
    str,
    str.upper,
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    lambda text: text.encode().hex(),
    lambda text: "0" + text.encode().hex(),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f'{{"alg":"x","of":"{text}"}}'.encode()).decode().rstrip("="),
    " ".join,
    "-".join,
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_contact_data_is_seen_however_it_is_written(spelling: str, way: Spell) -> None:
    contact = Contact(VERTICAL, LEAD)
    for text in (way(spelling), f"crm-{way(spelling)}", f"https://b.example/thanks?n=7&who={way(spelling)}&x=1#top"):
        assert contact.is_in(text)


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize(
    "text", ["+13125550177", "13125550177", "3125550177", "zanzi.canary@example.com", "Zanzibella Quux", "zanzibella"]
)
def test_the_usual_digests_are_seen(text: str, name: str) -> None:
    digest = hashlib.new(name, text.encode())
    for written in (digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode()):
        assert Contact(VERTICAL, LEAD).is_in(f"https://b.example/?h={written}")


@pytest.mark.parametrize(
    ("text", "is_seen"),
    [
        ("https://b.example/li/7", True),
        ("https://links.example/list", False),
        ("https://b.example/celik", True),
        ("ÇELİK", True),
        ("born-12-04-1985", True),
        ("dob=04/12/1985", True),
        ("1985", False),
        ("crm-1200", False),
        ("michigan-avenue", True),
        ("https://avenue.example/", False),
        ("60699", True),
        ("member 881234", True),
        ("https://b.example/quote/house?call=after", False),
        ("please-call", False),
        ("quixote", True),
        ("springfield", False),
        ("true", False),
        ("j.o@example.com", True),
        ("https://example.com/", False),
        ("crm-77", False),
        ("LD_9981-Q", False),
        ("https://b.example/thanks?lead=3f2c8a90-5c1e-4f7b-9d55-0c1e2f3a4b5d", False),
    ],
)
def test_what_tells_nobody_from_another_is_left_alone(text: str, *, is_seen: bool) -> None:
    assert Contact(VERTICAL, ODD).is_in(text) is is_seen


def test_texts_that_repeat_contact_data_are_not_kept() -> None:
    contact = Contact(VERTICAL, LEAD)
    both = Accepted("crm-5550177", "https://b.example/?e=zanzi.canary%40example.com")
    assert contact.kept(both) == Accepted()
    assert contact.kept(Accepted("crm-7", both.redirect_url)) == Accepted("crm-7")
    assert contact.kept(Accepted("crm-7", "https://b.example/")) == Accepted("crm-7", "https://b.example/")
    assert contact.kept(Rejected(Reason.DUPLICATE_AT_BUYER, "had Quux")) == Rejected(Reason.DUPLICATE_AT_BUYER, "had …")
    assert contact.kept(Unknown("silence")) == Unknown("silence")
    assert contact.kept(NotSent("connect_failed")) == NotSent("connect_failed")


def test_nothing_is_kept_where_nobody_knows_what_it_repeats() -> None:
    assert nothing_kept(Accepted("crm-7", "https://b.example/")) == Accepted()
    assert nothing_kept(Rejected(Reason.REJECTED_BY_BUYER, "bad phone")) == Rejected(Reason.REJECTED_BY_BUYER)


@given(
    text=st.text(st.characters(), max_size=300),
    values=st.fixed_dictionaries({}, optional={name: st.text(max_size=40) for name in TYPES}),
)
def test_no_text_and_no_lead_breaks_it(text: str, values: Lead) -> None:
    contact = Contact(VERTICAL, values)
    assert contact.is_in(text) in {True, False}
    assert contact.kept(Rejected(Reason.REJECTED_BY_BUYER, text)).reason is Reason.REJECTED_BY_BUYER
