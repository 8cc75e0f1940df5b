-- The whole sale path: market versions, pings, posts, attempts, caps, accounts and transfers, keys.
-- Amounts are bigint micro-units. Times are timestamptz. Ids are UUIDv7 made by the exchange.

create table market_versions (
    version     bigint generated always as identity primary key,
    document    json        not null,                       -- the market file, secrets as ${env:NAME} references
    sha256      bytea       not null,
    note        text        not null default '',
    created_at  timestamptz not null default now()
);

create table api_keys (
    key_id        text primary key,                         -- the public half: names the row, opens nothing
    secret_sha256 bytea       not null,                     -- of a 190-bit random secret: needs no slow hash
    role          text        not null check (role in ('seller', 'operator')),
    seller        text,
    created_at    timestamptz not null default now(),
    revoked_at    timestamptz,
    check ((role = 'seller') = (seller is not null))
);

-- Pings are many and are found by id alone: the day is read from the id, so a look-up touches one partition.
create table pings (
    day              date        not null,
    ping_id          uuid        not null,
    seller           text        not null,
    campaign         text        not null,
    market_version   bigint      not null,
    status           text        not null check (status in ('offered', 'unsold', 'refused')),
    reason           smallint,
    test             boolean     not null,
    currency         text        not null,
    source           text,
    ref              text,
    min_price_micros bigint,
    payout_micros    bigint,                                -- promised to the seller, whoever buys
    expires_at       timestamptz,
    ladder           json,                                  -- [{order, buyer, gross, bid_id}], best first
    lead             json        not null,                  -- ping fields only: a ping has no contact data
    trace            json        not null,                  -- every order the filters let through, and its reason
    primary key (day, ping_id),
    check ((status = 'offered') = (reason is null)),
    check ((status = 'offered') = (payout_micros is not null and expires_at is not null and ladder is not null))
) partition by range (day);

create table pings_default partition of pings default;

-- Makes the partitions from `first` on for `days` days; those that are there, or whose rows already lie in the
-- default partition, are left alone. Returns how many were made.
create function make_ping_partitions(first date, days integer) returns integer language plpgsql as $$
declare
    made integer := 0;
    d date;
    name text;
begin
    perform pg_advisory_xact_lock(hashtext('make_ping_partitions'));
    for d in select first + i from generate_series(0, days - 1) as i loop
        name := 'pings_' || to_char(d, 'YYYYMMDD');
        if to_regclass(name) is null and not exists (select from pings_default p where p.day = d) then
            execute format('create table %I partition of pings for values from (%L) to (%L)', name, d, d + 1);
            made := made + 1;
        end if;
    end loop;
    return made;
end $$;

-- A post claims its ping's offer by being inserted: the unique ping id is the single use.
create table posts (
    post_id          uuid primary key,
    ping_id          uuid        not null unique,
    seller           text        not null,
    campaign         text        not null,
    market_version   bigint      not null,
    test             boolean     not null,
    currency         text        not null,
    payout_micros    bigint      not null check (payout_micros >= 0),
    state            text        not null check (state in ('in_progress', 'accepted', 'rejected', 'pending')),
    reason           smallint,
    lead_fingerprint bytea       not null,                  -- keyed: tells a repeat from another lead
    lead_sealed      bytea,                                 -- AES-GCM under lead_key
    lead_key         bytea,                                 -- wrapped by the master key; erasing it erases the lead
    answer           bytea,                                 -- the first answer, byte for byte
    created_at       timestamptz not null default now(),
    finished_at      timestamptz
);
create index posts_open on posts (created_at) where state in ('in_progress', 'pending');
create index posts_by_seller on posts (seller, created_at);

create table attempts (
    attempt_id    uuid primary key,
    post_id       uuid        not null references posts,
    ping_id       uuid        not null,
    leg           smallint    not null default 1,
    ordinal       smallint    not null,
    order_key     text        not null,
    buyer         text        not null,
    exclusive     boolean     not null,
    test          boolean     not null,
    bid_id        text,
    currency      text        not null,
    gross_micros  bigint      not null check (gross_micros >= 0),
    payout_micros bigint      not null check (payout_micros >= 0),
    state         text        not null check (state in ('prepared', 'accepted', 'rejected', 'not_sent', 'unknown',
                                                        'presumed_accepted', 'presumed_rejected')),
    reason        smallint,
    detail        text        not null default '',
    reference     text,
    redirect_url  text,
    epoch         integer     not null default 1,           -- raised by whoever takes the attempt over
    lease_until   timestamptz not null,                     -- past it a prepared attempt counts as unknown
    created_at    timestamptz not null default now(),
    resolved_at   timestamptz,
    check (payout_micros <= gross_micros),
    unique (post_id, ordinal)
);
-- At most one attempt of an exclusive lead may be alive, whatever the code believes.
create unique index attempts_one_live on attempts (post_id, leg)
    where exclusive and state not in ('rejected', 'not_sent');
create index attempts_open on attempts (lease_until) where state in ('prepared', 'unknown');

create function attempt_states_only_move_forward() returns trigger language plpgsql as $$
begin
    if old.state = new.state
        or old.state = 'prepared'
        or (old.state = 'unknown' and new.state <> 'prepared')
        or (old.state = 'presumed_rejected' and new.state = 'accepted')
        or (old.state = 'presumed_accepted' and new.state = 'rejected')
    then
        return new;
    end if;
    raise exception 'attempt %: % cannot become %', old.attempt_id, old.state, new.state using errcode = 'check_violation';
end $$;
create trigger attempt_states before update of state on attempts
    for each row execute function attempt_states_only_move_forward();

create table caps (
    scope         text        not null check (scope in ('order', 'seller', 'campaign')),
    subject       text        not null,
    period        text        not null check (period in ('hour', 'day', 'week', 'month', 'total')),
    starts_at     timestamptz not null,
    leads         integer     not null default 0 check (leads >= 0),
    amount_micros bigint      not null default 0 check (amount_micros >= 0),
    primary key (scope, subject, period, starts_at)
);

-- balance = credits - debits. Buyers and sellers carry theirs (checked against the transfers); the exchange's own
-- accounts do not, because every sale would queue for that one row.
create table accounts (
    account_id          bigint generated always as identity primary key,
    kind                text   not null check (kind in ('buyer', 'seller', 'exchange')),
    owner               text   not null,
    currency            text   not null,
    balance_micros      bigint not null default 0,
    held_micros         bigint not null default 0 check (held_micros >= 0),
    credit_limit_micros bigint not null default 0 check (credit_limit_micros >= 0),
    unique (kind, owner, currency)
);

create table transfers (
    transfer_id    bigint generated always as identity primary key,
    kind           text        not null check (kind in ('deposit', 'charge', 'payout', 'margin')),
    debit_account  bigint      not null references accounts,
    credit_account bigint      not null references accounts,
    amount_micros  bigint      not null check (amount_micros > 0),
    attempt_id     uuid references attempts,
    note           text        not null default '',
    created_at     timestamptz not null default now(),
    check (debit_account <> credit_account),
    check ((kind = 'deposit') = (attempt_id is null)),
    unique (attempt_id, kind)
);
create index transfers_by_debit on transfers (debit_account, transfer_id);
create index transfers_by_credit on transfers (credit_account, transfer_id);

create function transfers_are_immutable() returns trigger language plpgsql as $$
begin
    raise exception 'transfers are never changed: correct one with another' using errcode = 'insufficient_privilege';
end $$;
create trigger transfers_immutable before update or delete on transfers
    for each row execute function transfers_are_immutable();
create trigger transfers_not_truncated before truncate on transfers
    for each statement execute function transfers_are_immutable();

-- A seller's Idempotency-Key on one path; the answer itself is the post's, or here where no post came of it.
create table idempotency_keys (
    seller      text        not null,
    path        text        not null,
    key         text        not null,
    body_sha256 bytea       not null,
    post_id     uuid,
    answer      bytea,
    lease_until timestamptz not null,
    created_at  timestamptz not null default now(),
    primary key (seller, path, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
