"""The contract's example market, reduced to what is built, and ways to change it."""

import copy
from typing import Any

from exchange.errors import MarketFileError
from exchange.marketfile.reader import read
from exchange.marketfile.source import parse

EXAMPLE = """\
version: 1
currency: USD
verticals:
  auto_insurance:
    identity: [phone, email]                 # the same person if any of them matches after normalisation
    fields:
      zip:        {type: us_zip, in: ping, required: true}
      state:      {type: us_state, in: ping}
      age:        {type: integer, in: ping, min: 16, max: 110}
      credit:     {type: enum, values: [poor, fair, good, excellent], in: ping}
      insured:    {type: boolean, in: ping}
      created_at: {type: date_time, in: ping}
      born:       {type: date, in: ping, min: 1900-01-01, max: "2020-12-31"}
      occupation: {type: text, in: ping, max_length: 60}
      first_name: {type: text, in: post, required: true, max_length: 80}
      phone:      {type: phone, region: US, in: post, required: true}
      email:      {type: email, in: post, required: true}
campaigns:
  auto-us:
    vertical: auto_insurance
    time_zone: America/New_York
    ping_timeout_ms: 800
    post_timeout_ms: 8000
    offer_ttl_s: 300
    sale: exclusive
    max_shares: 1
    fallback: break_even
    method: highest_bid
    floor: "5.00"
    margin: {percent: 15}
    changed_fields: keep
  auto-plain: {vertical: auto_insurance}
sellers:
  acme: {campaigns: [auto-us], margin: {percent: 12.5}}
  other: {campaigns: [auto-us, auto-plain], margin: {amount: "2.00"}}
buyers:
  northwind:
    time_zone: America/Chicago
    credit_limit: "0.00"
    max_bid: "200.00"
    endpoint:
      dialect: native
      ping_url: http://127.0.0.1:9101/bid
      post_url: http://127.0.0.1:9101/post
      status_url: null
      ping_timeout_ms: 500
      post_timeout_ms: 30000
      idempotent_post: false
      auth: {bearer: "${env:NORTHWIND_TOKEN}"}
  southwind:
    margin: {percent: 10}
    endpoints:
      east: {ping_url: "https://east.example/ping?v=1", post_url: https://east.example/post}
      west:
        ping_url: https://[2001:db8::1]:8443/ping
        post_url: https://west.example/post
        auth: {basic: {user: exchange, password: "${env:WEST_PASSWORD}"}}
  eastwind:
    endpoint:
      ping_url: https://buyer.example/ping
      post_url: https://buyer.example/post
      auth: {header: {name: X-Api-Key, value: "key ${env:EAST_KEY} ${env:EAST_ID}"}}
orders:
  northwind-il:
    buyer: northwind
    campaign: auto-us
    price: bid
    sale: either
    fields: [zip, state, age, credit]
    filter: {state: [IL, wi], age: {min: 25, max: 65}, credit: {not: [poor]}}
    priority: 1
    exclude_sellers: []
    paused: false
  southwind-all:
    buyer: southwind
    campaign: auto-us
    endpoint: west
    sale: exclusive
    filter:
      zip: 01234
      age: {between: [18, 80], min: 21, not: [50, 51]}
      insured: true
      born: {max: 2005-06-30}
      occupation: {in: [Teacher, NURSE], not: pilot}
      credit: {is: good}
    priority: 5
    exclude_sellers: [other]
    paused: true
"""


def example() -> dict[str, Any]:
    """The example's document, to be changed at will."""
    return parse(EXAMPLE)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example with one value replaced, or added."""
    document = example()
    put(document, path, value)
    return document


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Replaces or adds what stands at a path."""
    node: Any = document
    *above, last = path.split("/")
    for part in above:
        node = node[part]
    node[last] = copy.deepcopy(value)


def problems_of(document: object) -> list[str]:
    """Everything that is wrong with a document, as it is shown."""
    try:
        read(document)
    except MarketFileError as error:
        return [str(problem) for problem in error.problems]
    return []
