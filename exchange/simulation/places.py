"""The towns that simulated people live in: real ZIP codes, telephone area codes and power company of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

_TOWNS = """
New York | NY | 10001 10003 10011 10016 10025 10027 10128 | 212 646 332 | Con Edison | 50
Brooklyn | NY | 11201 11206 11215 11220 11226 11235 | 718 347 929 | Con Edison | 40
Buffalo | NY | 14201 14207 14213 14216 | 716 | National Grid | 8
Rochester | NY | 14604 14607 14609 14620 | 585 | RG&E | 6
Newark | NJ | 07102 07104 07105 07107 | 973 862 | PSE&G | 8
Jersey City | NJ | 07302 07304 07305 07306 | 201 551 | PSE&G | 8
Philadelphia | PA | 19103 19111 19120 19124 19143 19147 | 215 267 445 | PECO | 30
Pittsburgh | PA | 15203 15206 15212 15217 15222 | 412 878 | Duquesne Light | 12
Boston | MA | 02108 02115 02118 02124 02127 | 617 857 | Eversource | 12
Worcester | MA | 01602 01604 01605 01609 | 508 774 | National Grid | 5
Hartford | CT | 06103 06105 06106 06112 06114 | 860 959 | Eversource | 4
Providence | RI | 02903 02904 02906 02908 02909 | 401 | Rhode Island Energy | 4
Baltimore | MD | 21201 21206 21215 21218 21224 21230 | 410 443 667 | BGE | 12
Richmond | VA | 23219 23220 23221 23223 23225 | 804 | Dominion Energy | 8
Norfolk | VA | 23503 23507 23510 23513 | 757 | Dominion Energy | 6
Charlotte | NC | 28202 28205 28210 28215 28269 28277 | 704 980 | Duke Energy | 16
Raleigh | NC | 27601 27603 27607 27609 27612 | 919 984 | Duke Energy | 10
Charleston | SC | 29401 29403 29407 29412 | 843 854 | Dominion Energy | 5
Columbia | SC | 29201 29203 29205 29210 | 803 839 | Dominion Energy | 4
Atlanta | GA | 30303 30305 30309 30312 30318 30331 | 404 678 470 | Georgia Power | 24
Savannah | GA | 31401 31404 31405 31419 | 912 | Georgia Power | 4
Jacksonville | FL | 32202 32205 32207 32210 32216 32244 | 904 | JEA | 14
Orlando | FL | 32801 32806 32808 32811 32822 32839 | 407 689 | Orlando Utilities | 16
Tampa | FL | 33602 33603 33606 33611 33612 33647 | 813 656 | TECO | 16
Miami | FL | 33125 33130 33133 33142 33155 33176 33186 | 305 786 | FPL | 30
Fort Lauderdale | FL | 33301 33304 33308 33311 33315 | 954 754 | FPL | 12
Birmingham | AL | 35203 35205 35206 35211 | 205 659 | Alabama Power | 6
Nashville | TN | 37203 37206 37207 37211 37214 | 615 629 | Nashville Electric | 12
Memphis | TN | 38103 38104 38111 38116 38128 | 901 | MLGW | 10
Louisville | KY | 40202 40204 40206 40214 40216 | 502 | LG&E | 8
Columbus | OH | 43201 43204 43206 43215 43224 43229 | 614 380 | AEP Ohio | 14
Cleveland | OH | 44102 44105 44109 44111 44113 | 216 | FirstEnergy | 12
Cincinnati | OH | 45202 45206 45208 45211 45219 | 513 283 | Duke Energy | 10
Indianapolis | IN | 46201 46203 46205 46220 46227 46254 | 317 463 | AES Indiana | 14
Detroit | MI | 48201 48205 48207 48219 48227 48235 | 313 | DTE Energy | 16
Grand Rapids | MI | 49503 49504 49505 49507 | 616 | Consumers Energy | 6
Milwaukee | WI | 53202 53204 53207 53209 53215 | 414 | We Energies | 12
Madison | WI | 53703 53704 53705 53711 | 608 353 | MGE | 6
Minneapolis | MN | 55401 55404 55406 55408 55411 55418 | 612 763 | Xcel Energy | 14
St Paul | MN | 55101 55104 55105 55106 | 651 | Xcel Energy | 8
Des Moines | IA | 50309 50310 50312 50315 | 515 | MidAmerican | 4
Chicago | IL | 60601 60608 60614 60618 60625 60629 60639 60647 | 312 773 872 | ComEd | 44
Springfield | IL | 62701 62702 62703 62704 | 217 447 | CWLP | 4
St Louis | MO | 63101 63104 63109 63116 63118 | 314 557 | Ameren | 12
Kansas City | MO | 64105 64108 64110 64114 64131 | 816 975 | Evergy | 10
Wichita | KS | 67202 67203 67208 67212 | 316 | Evergy | 4
Omaha | NE | 68102 68104 68107 68114 68134 | 402 531 | OPPD | 5
New Orleans | LA | 70112 70115 70117 70119 70122 | 504 | Entergy | 8
Little Rock | AR | 72201 72204 72205 72209 | 501 | Entergy | 4
Oklahoma City | OK | 73102 73106 73112 73118 73159 | 405 572 | OG&E | 8
Tulsa | OK | 74103 74104 74105 74112 74136 | 918 539 | PSO | 6
Dallas | TX | 75201 75204 75206 75211 75217 75228 75243 | 214 972 469 | Oncor | 34
Fort Worth | TX | 76102 76104 76107 76116 76133 | 817 682 | Oncor | 16
Houston | TX | 77002 77004 77007 77019 77036 77055 77084 77095 | 713 281 832 | CenterPoint | 44
San Antonio | TX | 78201 78205 78207 78212 78228 78240 78249 | 210 726 | CPS Energy | 22
Austin | TX | 78701 78702 78704 78745 78748 78758 | 512 737 | Austin Energy | 18
El Paso | TX | 79901 79902 79912 79924 79936 | 915 | El Paso Electric | 8
Denver | CO | 80202 80205 80206 80210 80219 80220 | 303 720 | Xcel Energy | 14
Colorado Springs | CO | 80903 80904 80909 80918 | 719 | CSU | 6
Boise | ID | 83702 83704 83705 83709 | 208 986 | Idaho Power | 4
Salt Lake City | UT | 84101 84102 84103 84105 84115 | 801 385 | Rocky Mountain Power | 8
Phoenix | AZ | 85004 85008 85016 85021 85032 85041 85051 | 602 480 623 | APS | 30
Tucson | AZ | 85701 85705 85711 85719 85730 | 520 | TEP | 10
Albuquerque | NM | 87102 87105 87106 87110 87111 | 505 | PNM | 6
Las Vegas | NV | 89101 89103 89108 89117 89121 89123 | 702 725 | NV Energy | 16
Los Angeles | CA | 90004 90011 90012 90019 90026 90034 90042 90046 | 213 323 310 | LADWP | 50
San Diego | CA | 92101 92103 92104 92109 92115 92126 | 619 858 | SDG&E | 24
San Francisco | CA | 94103 94107 94110 94112 94116 94122 | 415 628 | PG&E | 16
San Jose | CA | 95112 95113 95116 95123 95125 95136 | 408 669 | PG&E | 14
Sacramento | CA | 95811 95814 95816 95820 95828 | 916 279 | SMUD | 12
Fresno | CA | 93701 93702 93704 93722 93727 | 559 | PG&E | 8
Portland | OR | 97201 97202 97206 97211 97217 97219 | 503 971 | PGE | 10
Seattle | WA | 98101 98103 98105 98115 98118 98144 | 206 | Seattle City Light | 14
Spokane | WA | 99201 99203 99205 99208 | 509 | Avista | 4
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A town. `weight` is how often people come from it, next to the others."""

    city: str
    state: str
    zips: tuple[str, ...]
    area_codes: tuple[str, ...]
    utility: str
    weight: int


def _read(table: str) -> Iterator[Place]:
    for line in table.strip().splitlines():
        city, state, zips, area_codes, utility, weight = line.split(" | ")
        yield Place(city, state, tuple(zips.split()), tuple(area_codes.split()), utility, int(weight))


PLACES = tuple(_read(_TOWNS))
_CUMULATIVE_WEIGHTS = tuple(accumulate(place.weight for place in PLACES))


def pick_place(random: Random) -> Place:
    """A town, more often a large one."""
    return random.choices(PLACES, cum_weights=_CUMULATIVE_WEIGHTS)[0]
