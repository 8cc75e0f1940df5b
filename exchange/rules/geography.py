"""Which state a ZIP code belongs to, the states that there are, and well-known ZIP codes of each.

Source: the USPS list of three-digit ZIP code prefixes (labelling list L002) and of state abbreviations (publication
28, appendix B). Prefixes that USPS has not assigned have no state.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

_PREFIXES: Mapping[str, str] = {
    "AL": "350-352 354-369",
    "AK": "995-999",
    "AZ": "850-853 855-857 859-860 863-865",
    "AR": "716-729",
    "CA": "900-908 910-928 930-961",
    "CO": "800-816",
    "CT": "060-069",
    "DE": "197-199",
    "DC": "200 202-205 569",
    "FL": "320-339 341-342 344 346-347 349",
    "GA": "300-319 398-399",
    "HI": "967-968",
    "ID": "832-838",
    "IL": "600-620 622-629",
    "IN": "460-479",
    "IA": "500-516 520-528",
    "KS": "660-662 664-679",
    "KY": "400-418 420-427",
    "LA": "700-701 703-708 710-714",
    "ME": "039-049",
    "MD": "206-212 214-219",
    "MA": "010-027 055",
    "MI": "480-499",
    "MN": "550-551 553-567",
    "MS": "386-397",
    "MO": "630-631 633-641 644-658",
    "MT": "590-599",
    "NE": "680-681 683-693",
    "NV": "889-891 893-895 897-898",
    "NH": "030-038",
    "NJ": "070-089",
    "NM": "870-871 873-875 877-884",
    "NY": "005 100-149",
    "NC": "270-289",
    "ND": "580-588",
    "OH": "430-459",
    "OK": "730-731 734-741 743-749",
    "OR": "970-979",
    "PA": "150-196",
    "RI": "028-029",
    "SC": "290-299",
    "SD": "570-577",
    "TN": "370-385",
    "TX": "733 750-799 885",
    "UT": "840-847",
    "VT": "050-054 056-059",
    "VA": "201 220-246",
    "WA": "980-986 988-994",
    "WV": "247-268",
    "WI": "530-532 534-535 537-549",
    "WY": "820-831",
    "GU": "969",
    "PR": "006-007 009",
    "VI": "008",
    "AA": "340",
    "AE": "090-099",
    "AP": "962-966",
}
"""Prefixes by state, ranges inclusive. 969 is shared by five of them: Guam here, the others ZIP by ZIP below."""

_EXCEPTIONS: Mapping[str, str] = {
    "NY": "06390",  # Fishers Island, served from Connecticut
    "TX": "73960",  # Texhoma, served from Oklahoma
    "WY": "83414",  # Alta, served from Idaho
    "AS": "96799",
    "PW": "96939-96940",
    "FM": "96941-96944",
    "MP": "96950-96952",
    "MH": "96960 96970",
}
"""ZIP codes whose state is not that of their prefix."""

_KNOWN_ZIPS: Mapping[str, str] = {
    "AL": "35203 35401 35801 36104 36602",
    "AK": "99501 99654 99701 99801",
    "AZ": "85004 85201 85281 85701 86001",
    "AR": "72201 72401 72701 72901",
    "CA": "90012 92101 93721 94103 95113 95814",
    "CO": "80202 80302 80903 81501",
    "CT": "06103 06511 06604 06901",
    "DE": "19711 19801 19901 19971",
    "DC": "20001 20002 20009 20016",
    "FL": "32202 32301 32801 33130 33301 33602",
    "GA": "30303 30901 31201 31401",
    "HI": "96720 96732 96766 96813",
    "ID": "83201 83402 83702 83814",
    "IL": "60601 60614 61101 61602 62701",
    "IN": "46204 46601 46802 47708",
    "IA": "50309 52240 52401 52801",
    "KS": "66044 66101 66603 67202",
    "KY": "40202 40507 41011 42101",
    "LA": "70112 70501 70801 71101",
    "ME": "04101 04240 04330 04401",
    "MD": "20850 20910 21201 21401 21701",
    "MA": "01103 01608 02108 02139",
    "MI": "48104 48226 48502 48933 49503",
    "MN": "55101 55401 55802 55902",
    "MS": "38801 39201 39401 39501",
    "MO": "63101 64106 65201 65806",
    "MT": "59101 59601 59715 59801",
    "NE": "68102 68508 68801 69101",
    "NV": "89015 89101 89501 89701 89801",
    "NH": "03060 03101 03301 03801",
    "NJ": "07102 07302 08401 08608 08901",
    "NM": "87102 87501 88001 88201",
    "NY": "10001 11201 12207 13202 14202 14604",
    "NC": "27401 27601 28202 28401 28801",
    "ND": "58102 58201 58501 58701",
    "OH": "43215 43604 44113 45202 45402",
    "OK": "73069 73102 73501 74103",
    "OR": "97201 97301 97401 97701",
    "PA": "15222 16501 17101 18101 19103",
    "RI": "02840 02860 02886 02903",
    "SC": "29201 29401 29577 29601",
    "SD": "57104 57401 57501 57701",
    "TN": "37201 37402 37902 38103",
    "TX": "75201 76102 77002 78205 78701 79901",
    "UT": "84101 84401 84601 84770",
    "VT": "05301 05401 05602 05701",
    "VA": "22201 23219 23451 23510 24011",
    "WA": "98101 98402 98501 98660 99201",
    "WV": "25301 25701 26003 26505",
    "WI": "53202 53703 54301 54701",
    "WY": "82001 82070 82601 83001",
}


def _expand(ranges: str) -> Iterator[str]:
    """Every code of "001-003 005", inclusive, in the width it is written in."""
    for item in ranges.split():
        first, _, last = item.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))


_STATE_BY_PREFIX = MappingProxyType({prefix: state for state, text in _PREFIXES.items() for prefix in _expand(text)})
_STATE_BY_ZIP = MappingProxyType({code: state for state, text in _EXCEPTIONS.items() for code in _expand(text)})
_ZIPS_BY_STATE = MappingProxyType({state: tuple(text.split()) for state, text in _KNOWN_ZIPS.items()})

STATES: frozenset[str] = frozenset(_PREFIXES) | frozenset(_EXCEPTIONS)
"""Two letters each: the 50 states, DC, the territories, the freely associated states and the military "states"."""


def state_of_zip(zip_code: str) -> str | None:
    """The state that USPS files a five-digit ZIP code under, or None for a prefix that is not assigned."""
    return _STATE_BY_ZIP.get(zip_code) or _STATE_BY_PREFIX.get(zip_code[:3])


def zips_of_state(state: str) -> tuple[str, ...]:
    """A few real ZIP codes of the state's best-known towns; none for a territory, the military or an unknown state."""
    return _ZIPS_BY_STATE.get(state, ())
