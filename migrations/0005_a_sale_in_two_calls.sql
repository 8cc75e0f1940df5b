-- The straight way of a post, claim and sale, in one call each: a round trip costs a gateway more than what most of
-- them ask for. What cannot go straight raises LX001 and leaves nothing behind; its caller then goes step by step, with
-- the same functions.

-- `is_taken`: since before there was a post.
create type request_key as (path text, key text, body_sha256 bytea, lease_s float8, is_taken boolean);

create type new_post as (
    post_id uuid, ping_id uuid, seller text, campaign text, market_version bigint, test boolean, currency text,
    payout_micros bigint, lead_fingerprint bytea, lead_sealed bytea, lead_key bytea, changed_fields text[]
);

create type new_attempt as (
    attempt_id uuid, ordinal smallint, order_key text, buyer text, bid_id text, gross_micros bigint, lease_s float8
);

create type outcome as (state text, reason smallint, detail text, reference text, redirect_url text);

-- Takes a key that is free or abandoned for a request; false where it stands for something already.
create function take_key(p_seller text, p_key request_key, p_post uuid) returns boolean language plpgsql as $$
begin
    if p_key.is_taken then
        update idempotency_keys set post_id = p_post
        where (seller, path, key) = (p_seller, p_key.path, p_key.key);
        return true;
    end if;
    insert into idempotency_keys as k (seller, path, key, body_sha256, post_id, lease_until)
    values (p_seller, p_key.path, p_key.key, p_key.body_sha256, p_post, now() + make_interval(secs => p_key.lease_s))
    on conflict (seller, path, key) do update set lease_until = excluded.lease_until, post_id = excluded.post_id
        where k.body_sha256 = excluded.body_sha256 and k.answer is null and k.post_id is null and k.lease_until < now();
    return found;
end $$;

-- Posts whose sellers were told that nothing was stored: a claim that is still on its way comes too late.
create table withdrawals (
    post_id    uuid        primary key,
    created_at timestamptz not null default now()
);
create index withdrawals_by_age on withdrawals (created_at);

-- Waits for the claim of a post that is under way; one that comes after it is refused.
create function withdraw_claim(p_post uuid) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('post:' || p_post, 0));
    insert into withdrawals (post_id) values (p_post) on conflict do nothing;
end $$;

-- Uses an offer up; false where its ping has a post already. Raises LX001 for a claim that was withdrawn.
create function begin_post(p_post new_post) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('post:' || p_post.post_id, 0));
    if exists (select from withdrawals w where w.post_id = p_post.post_id) then
        raise exception 'withdrawn' using errcode = 'LX001';
    end if;
    insert into posts (post_id, ping_id, seller, campaign, market_version, test, currency, payout_micros, state,
        lead_fingerprint, lead_sealed, lead_key, changed_fields)
    values (p_post.post_id, p_post.ping_id, p_post.seller, p_post.campaign, p_post.market_version, p_post.test,
        p_post.currency, p_post.payout_micros, 'in_progress', p_post.lead_fingerprint, p_post.lead_sealed,
        p_post.lead_key, p_post.changed_fields)
    on conflict (ping_id) do nothing;
    return found;
end $$;

-- Writes down what is about to be sent, with everything it needs held before; returns the time on this clock.
create function prepare_attempt(p_attempt new_attempt, p_post new_post) returns timestamptz language plpgsql as $$
begin
    insert into attempts (attempt_id, post_id, ping_id, ordinal, order_key, buyer, exclusive, test, bid_id, currency,
        gross_micros, payout_micros, state, lease_until)
    values (p_attempt.attempt_id, p_post.post_id, p_post.ping_id, p_attempt.ordinal, p_attempt.order_key,
        p_attempt.buyer, true, p_post.test, p_attempt.bid_id, p_post.currency, p_attempt.gross_micros,
        p_post.payout_micros, 'prepared', now() + make_interval(secs => p_attempt.lease_s));
    return clock_timestamp();
end $$;

-- Notes that these people are sold, and locks what an attempt counts in. Raises LX001 with the reason why not.
create function take_people_and_subjects(
    p_post new_post, p_attempt new_attempt,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer
) returns void language plpgsql as $$
begin
    if p_campaign_days is not null or p_buyer_days is not null then
        perform lock_people(p_fingerprints);
        if p_campaign_days is not null
            and not take_people('campaign', p_post.campaign, p_fingerprints, p_post.post_id, p_campaign_days)
        then
            raise exception '401' using errcode = 'LX001';
        elsif p_buyer_days is not null
            and not take_people('buyer', p_attempt.buyer, p_fingerprints, p_post.post_id, p_buyer_days)
        then
            raise exception '211' using errcode = 'LX001';
        end if;
    end if;
    perform lock_subjects(array[p_attempt.order_key], p_post.seller, p_post.campaign, p_limits);
end $$;

-- Counts an attempt in the windows of its subjects and holds its price. Raises LX001 with the reason why not.
create function take_caps_and_balance(p_post new_post, p_attempt new_attempt, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    refused integer;
begin
    if lock_caps(array[p_attempt.order_key], p_post.seller, p_post.campaign, now()) then
        select case when l.scope <> 'order' then 404 when c.leads >= l.leads_max then 203 else 204 end into refused
        from unnest(p_limits) l join caps c using (scope, subject, period, starts_at, ends_at)
        where c.leads >= l.leads_max or c.amount_micros + p_attempt.gross_micros > l.amount_max
        order by 1 desc limit 1;
        if refused is not null then
            raise exception '%', refused using errcode = 'LX001';
        end if;
        perform add_to_caps(p_attempt.order_key, p_post.seller, p_post.campaign, now(), 1, p_attempt.gross_micros);
    end if;
    update accounts set held_micros = held_micros + p_attempt.gross_micros
    where (kind, owner, currency) = ('buyer', p_attempt.buyer, p_post.currency)
        and balance_micros - held_micros + credit_limit_micros >= p_attempt.gross_micros;
    if not found then
        raise exception '205' using errcode = 'LX001';
    end if;
end $$;

-- As before, with rows for its arguments; the former one stays for gateways that have not been replaced yet. A refusal
-- leaves no lock behind but those on people.
create function hold_attempt(
    p_post new_post, p_attempt new_attempt,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer
) returns integer language plpgsql as $$
begin
    if p_campaign_days is not null or p_buyer_days is not null then
        perform lock_people(p_fingerprints);
    end if;
    begin
        perform take_people_and_subjects(p_post, p_attempt, p_limits, p_fingerprints, p_campaign_days, p_buyer_days);
        perform take_caps_and_balance(p_post, p_attempt, p_limits);
        return null;
    exception when sqlstate 'LX001' then
        return sqlerrm::integer;
    end;
end $$;

-- A post that is new, under a key that is free (or without one), whose first attempt may be sent; what others wait for
-- comes last. Returns the time on this clock.
create function claim_post(
    p_key request_key, p_post new_post, p_attempt new_attempt,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer
) returns timestamptz language plpgsql as $$
begin
    if (p_key.key is not null and not take_key(p_post.seller, p_key, p_post.post_id)) or not begin_post(p_post) then
        raise exception 'claimed before' using errcode = 'LX001';
    end if;
    if not p_post.test then
        perform take_people_and_subjects(p_post, p_attempt, p_limits, p_fingerprints, p_campaign_days, p_buyer_days);
    end if;
    perform prepare_attempt(p_attempt, p_post);
    if not p_post.test then
        perform take_caps_and_balance(p_post, p_attempt, p_limits);
    end if;
    return clock_timestamp();
end $$;

-- Locks the subjects of attempts, and opens the windows that have a limit and no row yet: orders by name, then the
-- seller, then the campaign, for everybody.
create or replace function lock_subjects(p_orders text[], p_seller text, p_campaign text, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    item record;
    opening text[];
begin
    select array_agg(l.scope || ':' || l.subject) into opening from unnest(p_limits) l where not exists (
        select from caps c where (c.scope, c.subject, c.period, c.starts_at, c.ends_at)
            = (l.scope, l.subject, l.period, l.starts_at, l.ends_at));
    if opening is null and cardinality(p_orders) = 1 then
        perform pg_advisory_xact_lock_shared(hashtextextended('order:' || p_orders[1], 0));
        perform pg_advisory_xact_lock_shared(hashtextextended('seller:' || p_seller, 0));
        perform pg_advisory_xact_lock_shared(hashtextextended('campaign:' || p_campaign, 0));
        return;
    end if;
    for item in
        select s.name, hashtextextended(s.name, 0) as id from (
            select distinct 1 as rank, 'order:' || unnest(p_orders) as name
            union all select 2, 'seller:' || p_seller
            union all select 3, 'campaign:' || p_campaign
        ) s order by s.rank, s.name
    loop
        if item.name = any (opening) then
            perform pg_advisory_xact_lock(item.id);
        else
            perform pg_advisory_xact_lock_shared(item.id);
        end if;
    end loop;
    if opening is not null then
        insert into caps (scope, subject, period, starts_at, ends_at, leads, amount_micros)
        select l.scope, l.subject, l.period, l.starts_at, l.ends_at, n.leads, n.amount_micros
        from unnest(p_limits) l cross join lateral count_attempts(l.scope, l.subject, l.starts_at, l.ends_at) n
        where not exists (
            select from caps c where (c.scope, c.subject, c.period, c.starts_at, c.ends_at)
                = (l.scope, l.subject, l.period, l.starts_at, l.ends_at))
        order by 1, 2, 3, 4, 5
        on conflict do nothing;
    end if;
end $$;

-- Moves a prepared attempt on, if it still is, and under this epoch; it stays locked to the end of the transaction.
create function move_attempt(p_attempt uuid, p_epoch integer, p_outcome outcome, p_keeps_lease boolean)
returns boolean language plpgsql as $$
begin
    update attempts set state = p_outcome.state, reason = p_outcome.reason, detail = p_outcome.detail,
        reference = p_outcome.reference, redirect_url = p_outcome.redirect_url, resolved_at = now(),
        lease_until = case when p_keeps_lease then lease_until else now() end
    where attempt_id = p_attempt and state = 'prepared' and epoch = p_epoch;
    return found;
end $$;

-- Ends a post, or lets it wait for what is unknown; what its seller is told is the first answer that was stored.
create function end_post(p_post uuid, p_state text, p_reason smallint, p_answer bytea) returns bytea language sql as $$
    update posts set state = p_state, reason = p_reason, answer = coalesce(answer, p_answer),
        finished_at = case when p_state = 'pending' then null else now() end
    where post_id = p_post
    returning answer
$$;

-- As before, but the balances, for which others wait, come last.
create or replace function move_money(
    p_buyer text, p_seller text, p_currency text,
    p_buyer_amount bigint, p_seller_amount bigint, p_released bigint,
    p_kinds text[], p_debit_kinds text[], p_debit_owners text[], p_credit_kinds text[], p_credit_owners text[],
    p_amounts bigint[], p_attempt uuid, p_note text
) returns integer language plpgsql as $$
declare
    made integer;
begin
    insert into transfers (kind, debit_account, credit_account, amount_micros, attempt_id, note)
    select part.kind, debit.account_id, credit.account_id, part.amount_micros, p_attempt, p_note
    from unnest(p_kinds, p_debit_kinds, p_debit_owners, p_credit_kinds, p_credit_owners, p_amounts) with ordinality
        as part (kind, debit_kind, debit_owner, credit_kind, credit_owner, amount_micros, number)
    join accounts debit on (debit.kind, debit.owner, debit.currency) = (part.debit_kind, part.debit_owner, p_currency)
    join accounts credit on (credit.kind, credit.owner, credit.currency) = (part.credit_kind, part.credit_owner, p_currency)
    order by part.number;
    get diagnostics made = row_count;
    update accounts set balance_micros = balance_micros + p_buyer_amount, held_micros = held_micros - p_released
    where (kind, owner, currency) = ('buyer', p_buyer, p_currency);
    update accounts set balance_micros = balance_micros + p_seller_amount
    where (kind, owner, currency) = ('seller', p_seller, p_currency);
    return made;
end $$;

-- A prepared attempt whose buyer has accepted: it is moved on, the money moves (`p_buyer` null: a test, none does), and
-- the post ends. Returns what its seller is told: `p_answer`, or from `p_told_by` on `p_late_answer`.
create function sell(
    p_attempt uuid, p_epoch integer, p_outcome outcome,
    p_post uuid, p_answer bytea, p_late_answer bytea, p_told_by timestamptz,
    p_buyer text, p_seller text, p_currency text,
    p_buyer_amount bigint, p_seller_amount bigint, p_released bigint,
    p_kinds text[], p_debit_kinds text[], p_debit_owners text[], p_credit_kinds text[], p_credit_owners text[],
    p_amounts bigint[]
) returns bytea language plpgsql as $$
declare
    told bytea;
begin
    if not move_attempt(p_attempt, p_epoch, p_outcome, false) then
        raise exception 'moved before' using errcode = 'LX001';
    end if;
    told := end_post(p_post, 'accepted', p_outcome.reason,
        case when clock_timestamp() < p_told_by then p_answer else p_late_answer end);
    if p_buyer is not null and cardinality(p_kinds) <> move_money(p_buyer, p_seller, p_currency, p_buyer_amount,
        p_seller_amount, p_released, p_kinds, p_debit_kinds, p_debit_owners, p_credit_kinds, p_credit_owners, p_amounts,
        p_attempt, '')
    then
        raise exception 'an account in % is missing', p_currency;
    end if;
    return told;
end $$;

-- A prepared attempt that came to nothing: what it held is given back, and the next one may be sent. Without one (null), and
-- from `p_told_by` on, the post ends. Returns the time on this clock, or what the seller is told. Raises LX001 where the next one's order
-- cannot have the lead: then its caller goes on step by step.
create function step_down(
    p_attempt uuid, p_epoch integer, p_outcome outcome,
    p_answer bytea, p_late_answer bytea, p_told_by timestamptz,
    p_post new_post, p_tried new_attempt, p_next new_attempt,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer,
    out prepared_at timestamptz, out told bytea
) language plpgsql as $$
declare
    refused integer;
begin
    if not move_attempt(p_attempt, p_epoch, p_outcome, false) then
        raise exception 'moved before' using errcode = 'LX001';
    end if;
    if not p_post.test then
        if p_next.attempt_id is not null then
            perform lock_attempts(array[p_attempt, p_next.attempt_id], array[p_tried.order_key, p_next.order_key],
                array[p_tried.buyer, p_next.buyer], p_post.seller, p_post.campaign, p_post.currency, p_limits,
                p_fingerprints);
        end if;
        perform uncount_attempt(p_attempt);
        update accounts set held_micros = held_micros - p_tried.gross_micros
        where (kind, owner, currency) = ('buyer', p_tried.buyer, p_post.currency);
    end if;
    if p_next.attempt_id is null or clock_timestamp() >= p_told_by then
        told := end_post(p_post.post_id, 'rejected', p_outcome.reason,
            case when clock_timestamp() < p_told_by then p_answer else p_late_answer end);
        return;
    end if;
    if not p_post.test then
        perform take_people_and_subjects(p_post, p_next, p_limits, p_fingerprints, p_campaign_days, p_buyer_days);
        perform take_caps_and_balance(p_post, p_next, p_limits);
    end if;
    prepared_at := prepare_attempt(p_next, p_post);
end $$;
