"""ZIP codes find their state: every assigned prefix, every state's first and last towns, and the odd ones."""

import pytest

from exchange.rules.geography import STATES, state_of_zip, zips_of_state


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIFTY_AND_DC = words(
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR "
    "PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
TERRITORIES = words("AS GU MP PR VI")
FREELY_ASSOCIATED = words("FM MH PW")
MILITARY = words("AA AE AP")

REAL_ZIPS = {
    "AL": "35004 36925",  # Moody, York: the first and the last town in the order of ZIP codes, here and below
    "AK": "99501 99950",
    "AZ": "85001 86556",
    "AR": "71601 72959",
    "CA": "90001 96162",
    "CO": "80001 81658",
    "CT": "06001 06389 06391 06928",
    "DE": "19701 19980",
    "DC": "20001 20099 20201 20599 56901 56972",
    "FL": "32003 33994 34101 34997",
    "GA": "30002 31999 39813 39901",
    "HI": "96701 96797 96801 96898",
    "ID": "83201 83402 83877",
    "IL": "60001 62999",
    "IN": "46001 47997",
    "IA": "50001 52809",
    "KS": "66002 67954",
    "KY": "40003 42788",
    "LA": "70001 71497",
    "ME": "03901 04992",
    "MD": "20601 21930",
    "MA": "01001 02791 05501 05544",
    "MI": "48001 49971",
    "MN": "55001 56763",
    "MS": "38601 39776",
    "MO": "63005 64999 65899",
    "MT": "59001 59937",
    "NE": "68001 69367",
    "NV": "88901 89883",
    "NH": "03031 03897",
    "NJ": "07001 08989",
    "NM": "87001 88439",
    "NY": "00501 00544 10001 14925 06390",
    "NC": "27006 28909",
    "ND": "58001 58856",
    "OH": "43001 45999",
    "OK": "73001 73949 74966",
    "OR": "97001 97920",
    "PA": "15001 19640",
    "RI": "02801 02940",
    "SC": "29001 29945",
    "SD": "57001 57799",
    "TN": "37010 38589",
    "TX": "73301 73344 73960 75001 79999 88510 88595",
    "UT": "84001 84791",
    "VT": "05001 05495 05601 05907",
    "VA": "20101 20199 22003 24658",
    "WA": "98001 99403",
    "WV": "24701 26886",
    "WI": "53001 54990",
    "WY": "82001 83128 83414",
    "PR": "00601 00795 00901 00988",
    "VI": "00801 00851",
    "GU": "96910 96932",
    "AS": "96799",
    "MP": "96950 96951 96952",
    "PW": "96939 96940",
    "FM": "96941 96942 96943 96944",
    "MH": "96960 96970",
    "AA": "34001 34099",
    "AE": "09001 09898",
    "AP": "96201 96698",
}

UNASSIGNED_PREFIXES = words(
    "000 001 002 003 004 213 269 343 345 348 353 419 428 429 517 518 519 529 533 536 552 568 578 579 589 621 632 642 "
    "643 659 663 682 694 695 696 697 698 699 702 709 715 732 742 817 818 819 839 848 849 854 858 861 862 866 867 "
    "868 869 872 876 886 887 888 892 896 899 909 929 987"
)


def test_the_states_are_those_of_the_postal_service() -> None:
    assert STATES == FIFTY_AND_DC | TERRITORIES | FREELY_ASSOCIATED | MILITARY
    assert len(STATES) == 62


@pytest.mark.parametrize(("state", "zips"), REAL_ZIPS.items())
def test_real_zip_codes_are_in_their_state(state: str, zips: str) -> None:
    assert {code: state_of_zip(code) for code in zips.split()} == dict.fromkeys(zips.split(), state)


def test_every_state_is_checked_with_real_zip_codes() -> None:
    assert REAL_ZIPS.keys() == STATES


def test_exactly_the_unassigned_prefixes_have_no_state() -> None:
    prefixes = [f"{number:03d}" for number in range(1000)]

    assert {prefix for prefix in prefixes if state_of_zip(prefix + "01") is None} == UNASSIGNED_PREFIXES


def test_the_states_of_the_first_digits_are_neighbours() -> None:
    regions = [
        "CT MA ME NH NJ NY PR RI VI VT AE",
        "DE NY PA",
        "DC MD NC SC VA WV",
        "AL FL GA MS TN AA",
        "IN KY MI OH",
        "IA MN MT ND SD WI DC",
        "IL KS MO NE",
        "AR LA OK TX",
        "AZ CO ID NM NV UT WY TX",
        "AK AP AS CA FM GU HI MH MP OR PW WA",
    ]
    for digit, expected in enumerate(regions):
        found = {state_of_zip(f"{digit}{rest:04d}") for rest in range(10_000)} - {None}
        assert found == words(expected)


@pytest.mark.parametrize("state", sorted(FIFTY_AND_DC))
def test_the_known_zip_codes_of_a_state_are_its_own(state: str) -> None:
    zips = zips_of_state(state)

    assert 3 <= len(zips) <= 6
    assert len(set(zips)) == len(zips)
    assert all(len(code) == 5 and code.isdigit() and state_of_zip(code) == state for code in zips)


@pytest.mark.parametrize("state", [*sorted(STATES - FIFTY_AND_DC), "XX", "", "il"])
def test_no_zip_codes_are_known_elsewhere(state: str) -> None:
    assert zips_of_state(state) == ()


@pytest.mark.parametrize("text", ["", "6", "60", "abcde", "\uff16\uff10\uff16\uff10\uff11"])
def test_what_is_no_zip_code_has_no_state(text: str) -> None:
    assert state_of_zip(text) is None
