-- Caps, budgets and duplicates: decided here, inside the transaction that claims a post or goes down its ladder.
--
-- A row of `caps` counts every live attempt of its subject that was made within [starts_at, ends_at), whatever the
-- limits were then. Limits are not stored: whoever holds says them. So a release finds the windows that it was taken
-- from by the attempt's time, and each row can be recounted from the attempts.
--
-- Locks, in this order for every transaction: post or attempt, people, subjects, rows of `caps`, buyers, seller. A
-- subject's lock is shared by all who count, and exclusive for the one who opens a window of it.

alter table caps
    add column changes   bigint not null default 0,         -- tells an older state of the row from a newer one
    add column ends_at   timestamptz not null,
    add column opened_by xid8   not null default pg_current_xact_id(),
    drop constraint caps_pkey,
    add primary key (scope, subject, period, starts_at, ends_at),
    add check (starts_at < ends_at);
create index caps_current on caps (scope, subject, ends_at);
create index caps_by_end on caps (ends_at);

create index attempts_by_order on attempts (order_key, created_at);
create index posts_by_campaign on posts (campaign, created_at);

-- A person who was sold: one row for each scope and keyed fingerprint, taken over only when its window has passed.
create table fingerprints (
    scope       text        not null check (scope in ('campaign', 'buyer')),
    subject     text        not null,
    fingerprint bytea       not null,                       -- keyed: says nothing without the master key
    post_id     uuid        not null references posts,
    taken_at    timestamptz not null,
    expires_at  timestamptz not null,
    primary key (fingerprint, scope, subject)
);
create index fingerprints_by_post on fingerprints (post_id);
create index fingerprints_by_expiry on fingerprints (expires_at);

-- A limit in the window that is now. Null: no limit of this kind.
create type cap_limit as (
    scope text, subject text, period text, starts_at timestamptz, ends_at timestamptz, leads_max integer, amount_max bigint
);

create function is_live(state text) returns boolean language sql immutable as $$
    select state not in ('rejected', 'not_sent', 'presumed_rejected')
$$;

create function count_attempts(
    p_scope text, p_subject text, p_from timestamptz, p_to timestamptz, out leads integer, out amount_micros bigint
) language plpgsql stable as $$
begin
    if p_scope = 'order' then
        select count(*), coalesce(sum(a.gross_micros), 0) into leads, amount_micros from attempts a
        where a.order_key = p_subject and a.created_at >= p_from and a.created_at < p_to
            and not a.test and is_live(a.state);
    elsif p_scope = 'seller' then  -- a post's attempts are made within minutes of it
        select count(*), coalesce(sum(a.gross_micros), 0) into leads, amount_micros
        from posts p join attempts a using (post_id)
        where p.seller = p_subject and p.created_at >= p_from - interval '1 day' and p.created_at < p_to
            and a.created_at >= p_from and a.created_at < p_to and not a.test and is_live(a.state);
    else
        select count(*), coalesce(sum(a.gross_micros), 0) into leads, amount_micros
        from posts p join attempts a using (post_id)
        where p.campaign = p_subject and p.created_at >= p_from - interval '1 day' and p.created_at < p_to
            and a.created_at >= p_from and a.created_at < p_to and not a.test and is_live(a.state);
    end if;
end $$;

-- One transaction at a time for each person, under whatever scope.
create function lock_people(p_fingerprints bytea[]) returns void language plpgsql as $$
declare
    person bigint;
begin
    for person in
        select distinct ('x' || encode(substr(item, 1, 8), 'hex'))::bit(64)::bigint as id
        from unnest(p_fingerprints) as item order by id
    loop
        perform pg_advisory_xact_lock(person);
    end loop;
end $$;

-- Locks the subjects of attempts, and opens the windows that have a limit and no row yet.
create function lock_subjects(p_orders text[], p_seller text, p_campaign text, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    item record;
    is_opening boolean := false;
begin
    for item in
        select hashtextextended(s.scope || ':' || s.subject, 0) as id, bool_or(l.scope is not null) as is_opening
        from (
            select 'order' as scope, unnest(p_orders) as subject
            union select 'seller', p_seller
            union select 'campaign', p_campaign
        ) s
        left join unnest(p_limits) l on l.scope = s.scope and l.subject = s.subject and not exists (
            select from caps c where (c.scope, c.subject, c.period, c.starts_at, c.ends_at)
                = (l.scope, l.subject, l.period, l.starts_at, l.ends_at))
        group by 1 order by 1
    loop
        if item.is_opening then
            perform pg_advisory_xact_lock(item.id);
            is_opening := true;
        else
            perform pg_advisory_xact_lock_shared(item.id);
        end if;
    end loop;
    if not is_opening then
        return;
    end if;
    insert into caps (scope, subject, period, starts_at, ends_at, leads, amount_micros)
    select l.scope, l.subject, l.period, l.starts_at, l.ends_at, n.leads, n.amount_micros
    from unnest(p_limits) l cross join lateral count_attempts(l.scope, l.subject, l.starts_at, l.ends_at) n
    where not exists (
        select from caps c where (c.scope, c.subject, c.period, c.starts_at, c.ends_at)
            = (l.scope, l.subject, l.period, l.starts_at, l.ends_at))
    order by 1, 2, 3, 4, 5
    on conflict do nothing;
end $$;

-- Takes people, caps, budgets and balance for one attempt, all or nothing: null, or the reason why not. A refusal
-- leaves no lock behind but those on people, so that the next attempt can be tried.
create function hold_attempt(
    p_post uuid, p_order text, p_buyer text, p_seller text, p_campaign text, p_currency text, p_gross bigint,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer
) returns integer language plpgsql as $$
declare
    refused integer;
begin
    if p_campaign_days is not null or p_buyer_days is not null then
        perform lock_people(p_fingerprints);
    end if;
    begin
        if p_campaign_days is not null
            and not take_people('campaign', p_campaign, p_fingerprints, p_post, p_campaign_days)
        then
            raise exception '401' using errcode = 'LX001';
        elsif p_buyer_days is not null
            and not take_people('buyer', p_buyer, p_fingerprints, p_post, p_buyer_days)
        then
            raise exception '211' using errcode = 'LX001';
        end if;
        perform lock_subjects(array[p_order], p_seller, p_campaign, p_limits);
        if lock_caps(array[p_order], p_seller, p_campaign, now()) then
            select case when l.scope <> 'order' then 404 when c.leads >= l.leads_max then 203 else 204 end into refused
            from unnest(p_limits) l join caps c using (scope, subject, period, starts_at, ends_at)
            where c.leads >= l.leads_max or c.amount_micros + p_gross > l.amount_max
            order by 1 desc limit 1;
            if refused is not null then
                raise exception '%', refused using errcode = 'LX001';
            end if;
            perform add_to_caps(p_order, p_seller, p_campaign, now(), 1, p_gross);
        end if;
        update accounts set held_micros = held_micros + p_gross
        where (kind, owner, currency) = ('buyer', p_buyer, p_currency)
            and balance_micros - held_micros + credit_limit_micros >= p_gross;
        if not found then
            raise exception '205' using errcode = 'LX001';
        end if;
        return null;
    exception when sqlstate 'LX001' then
        return sqlerrm::integer;
    end;
end $$;

-- Notes that these people are sold; false where one of them is another post's.
create function take_people(p_scope text, p_subject text, p_fingerprints bytea[], p_post uuid, p_days integer)
returns boolean language plpgsql as $$
declare
    taken integer;
begin
    insert into fingerprints (scope, subject, fingerprint, post_id, taken_at, expires_at)
    select p_scope, p_subject, item, p_post, now(), now() + make_interval(days => p_days)
    from (select distinct unnest(p_fingerprints) as item) people order by item
    on conflict (fingerprint, scope, subject) do update
        set post_id = excluded.post_id, taken_at = excluded.taken_at, expires_at = excluded.expires_at
        where fingerprints.post_id = excluded.post_id
            or fingerprints.taken_at <= now() - make_interval(days => p_days);
    get diagnostics taken = row_count;
    return taken = (select count(distinct item) from unnest(p_fingerprints) as item);
end $$;

-- Locks the windows of these subjects that hold `p_at`, now, or a time between them; false where there are none.
create function lock_caps(p_orders text[], p_seller text, p_campaign text, p_at timestamptz)
returns boolean language plpgsql as $$
begin
    perform from caps
    where ((scope = 'order' and subject = any (p_orders)) or (scope = 'seller' and subject = p_seller)
            or (scope = 'campaign' and subject = p_campaign))
        and ends_at > p_at and starts_at <= now()
    order by scope, subject, period, starts_at, ends_at for update;
    return found;
end $$;

-- Adds an attempt made at `p_at` to all windows of its subjects that it lies in.
create function add_to_caps(
    p_order text, p_seller text, p_campaign text, p_at timestamptz, p_leads integer, p_amount bigint
) returns void language plpgsql as $$
begin
    update caps set leads = leads + p_leads, amount_micros = amount_micros + p_amount, changes = changes + 1
    where ((scope = 'order' and subject = p_order) or (scope = 'seller' and subject = p_seller)
            or (scope = 'campaign' and subject = p_campaign))
        and ends_at > p_at and starts_at <= p_at;
end $$;

-- Locks everything that releasing one attempt and holding any of the others may change.
create function lock_attempts(
    p_attempts uuid[], p_orders text[], p_buyers text[], p_seller text, p_campaign text, p_currency text,
    p_limits cap_limit[], p_fingerprints bytea[]
) returns void language plpgsql as $$
begin
    perform lock_people(p_fingerprints);
    perform lock_subjects(p_orders, p_seller, p_campaign, p_limits);
    perform lock_caps(p_orders, p_seller, p_campaign, coalesce(
        (select min(created_at) from attempts where attempt_id = any (p_attempts)), now()));
    perform from accounts where kind = 'buyer' and owner = any (p_buyers) and currency = p_currency
    order by owner for update;
end $$;

-- Counts an attempt that was given back and was a sale after all; no limit can refuse what has happened.
create function count_attempt_again(p_attempt uuid) returns void language plpgsql as $$
declare
    item record;
begin
    select a.order_key, a.created_at, a.gross_micros, p.seller, p.campaign into strict item
    from attempts a join posts p using (post_id) where a.attempt_id = p_attempt;
    perform lock_subjects(array[item.order_key], item.seller, item.campaign, '{}');
    perform lock_caps(array[item.order_key], item.seller, item.campaign, item.created_at);
    perform add_to_caps(item.order_key, item.seller, item.campaign, item.created_at, 1, item.gross_micros);
end $$;

-- Takes an attempt that is no sale out of the windows that counted it, and lets its person go. A window that this
-- transaction has opened itself never counted it. Of a lead that is only presumed rejected the person stays sold, and so
-- he does while another attempt of the post is alive.
create function uncount_attempt(p_attempt uuid) returns void language plpgsql as $$
declare
    item record;
begin
    select a.*, p.seller, p.campaign into strict item
    from attempts a join posts p using (post_id) where a.attempt_id = p_attempt;
    if item.state <> 'presumed_rejected' then
        delete from fingerprints f where f.post_id = item.post_id and (
            (f.scope = 'buyer' and f.subject = item.buyer)
            or (f.scope = 'campaign' and not exists (
                select from attempts a where a.post_id = item.post_id and a.attempt_id <> p_attempt
                    and a.state not in ('rejected', 'not_sent'))));
    end if;
    perform lock_subjects(array[item.order_key], item.seller, item.campaign, '{}');
    perform lock_caps(array[item.order_key], item.seller, item.campaign, item.created_at);
    update caps set leads = leads - 1, amount_micros = amount_micros - item.gross_micros, changes = changes + 1
    where ((scope = 'order' and subject = item.order_key) or (scope = 'seller' and subject = item.seller)
            or (scope = 'campaign' and subject = item.campaign))
        and ends_at > item.created_at and starts_at <= item.created_at and opened_by <> pg_current_xact_id();
end $$;
