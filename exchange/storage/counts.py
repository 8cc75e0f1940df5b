"""What caps and fingerprints must say, each as one query that returns the rows for which it is not so."""

INVARIANTS = {
    "every cap counts its live attempts": (
        "select 1 from caps c, lateral count_attempts(c.scope, c.subject, c.starts_at, c.ends_at) n "
        "where (c.leads, c.amount_micros) <> (n.leads, n.amount_micros)"
    ),
    "every order that is counted for ever knows its last attempt": (
        "select 1 from caps c where c.period = 'total' "
        "and c.last_at is distinct from last_attempt(c.scope, c.subject, c.period)"
    ),
    "every sub-cap's attempt is one of its order": (
        "select 1 from counted_parts p join attempts a using (attempt_id) "
        "where a.test or a.order_key <> split_part(p.subject, '/', 1)"
    ),
    "every person who counts as sold has an attempt that may be a sale": (
        "select 1 from fingerprints f where not exists (select from attempts a where a.post_id = f.post_id "
        "and not a.test and a.state not in ('rejected', 'not_sent'))"
    ),
}
