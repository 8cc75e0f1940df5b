-- More kinds of limits on an order: sub-caps, spacing, an even pace over the day, and share caps on the leads that its
-- filter lets through. They are decided where caps are, in the same statements, and for whom has none of them nothing changes.
--
-- A sub-cap is a subject of its own, `order/name`, in the scope of orders; its order's lock covers it. Whoever holds names
-- the sub-caps that a lead counts in by their limits.
--
-- Three kinds of limits have no window of their own. Their `period` says which row they are compared with:
--   spacing       the order's row for ever; `leads_max` is the least time between two attempts, in seconds
--   pace of day   the row of the day of which it is a part; the limits are those for that part, and the first lead is free
--   share of P    the row of the same window; `leads_max` is the part of the leads let through, in millionths

alter table caps
    add column last_at timestamptz;                         -- of an order's row for ever: when its last live attempt was made

update caps c set last_at = (
    select max(a.created_at) from attempts a where a.order_key = c.subject and not a.test and is_live(a.state))
where scope = 'order' and period = 'total';

-- The sub-caps that an attempt counts in. It is written as they are held, which may be before the attempt is.
create table counted_parts (
    attempt_id uuid not null references attempts on delete cascade deferrable initially deferred,
    subject    text not null,
    primary key (attempt_id, subject)
);

-- How many leads an order's filter has let through in a window. Gateways add to it now and then: it is never too high.
create table let_through (
    order_key text        not null,
    starts_at timestamptz not null,
    ends_at   timestamptz not null,
    leads     bigint      not null default 0 check (leads >= 0),
    changes   bigint      not null default 0,
    primary key (order_key, starts_at, ends_at)
);
create index let_through_by_end on let_through (ends_at);

create function is_window(period text) returns boolean language sql immutable as $$
    select period in ('hour', 'day', 'week', 'month', 'total')
$$;

create function parts_of(p_attempts uuid[]) returns text[] language sql stable as $$
    select array(select subject from counted_parts where attempt_id = any (p_attempts))
$$;

create function parts_of(p_limits cap_limit[]) returns text[] language sql immutable as $$
    select array(select distinct subject from unnest(p_limits) where scope = 'order' and strpos(subject, '/') > 0)
$$;

-- Whether a limit is one on this row of its subject.
create function is_on(l cap_limit, c caps, p_limits cap_limit[]) returns boolean language sql immutable as $$
    select case
        when is_window(l.period) then (l.period, l.starts_at, l.ends_at) = (c.period, c.starts_at, c.ends_at)
        when l.period = 'spacing' then c.period = 'total'
        when l.period = 'pace of day' then c.period = 'day' and exists (
            select from unnest(p_limits) d where (d.scope, d.subject, d.period, d.starts_at, d.ends_at)
                = (c.scope, c.subject, 'day', c.starts_at, c.ends_at))
        else l.period = 'share of ' || c.period and (l.starts_at, l.ends_at) = (c.starts_at, c.ends_at)
    end
$$;

-- Whether a row has no room for one lead more.
create function lacks_leads(l cap_limit, c caps) returns boolean language sql stable as $$
    select case
        when is_window(l.period) then c.leads >= l.leads_max
        when l.period = 'spacing' then c.last_at > now() - make_interval(secs => l.leads_max)
        when c.leads = 0 then false
        when l.period = 'pace of day' then c.leads >= l.leads_max
        else (c.leads + 1)::numeric * 1000000 > l.leads_max::numeric * coalesce((
            select b.leads from let_through b
            where (b.order_key, b.starts_at, b.ends_at) = (l.subject, l.starts_at, l.ends_at)), 0)
    end
$$;

-- Whether a row has no room for so much money more.
create function lacks_money(l cap_limit, c caps, p_gross bigint) returns boolean language sql immutable as $$
    select (c.leads > 0 or l.period <> 'pace of day') and c.amount_micros + p_gross > l.amount_max
$$;

-- As before, and of sub-caps.
create or replace function count_attempts(
    p_scope text, p_subject text, p_from timestamptz, p_to timestamptz, out leads integer, out amount_micros bigint
) language plpgsql stable as $$
begin
    if p_scope = 'order' and strpos(p_subject, '/') > 0 then
        select count(*), coalesce(sum(a.gross_micros), 0) into leads, amount_micros from attempts a
        where a.order_key = split_part(p_subject, '/', 1) and a.created_at >= p_from and a.created_at < p_to
            and not a.test and is_live(a.state)
            and exists (select from counted_parts p where (p.attempt_id, p.subject) = (a.attempt_id, p_subject));
    elsif p_scope = 'order' then
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

-- When the last live attempt of an order was made; asked of rows that are for ever.
create function last_attempt(p_scope text, p_subject text, p_period text) returns timestamptz language sql stable as $$
    select case when p_scope = 'order' and p_period = 'total' then (
        select max(a.created_at) from attempts a
        where a.order_key = p_subject and not a.test and is_live(a.state)) end
$$;

-- As before; only limits with a window of their own open one, and an order's lock covers its sub-caps.
create or replace function lock_subjects(p_orders text[], p_seller text, p_campaign text, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    item record;
    opening text[];
begin
    select array_agg(l.scope || ':' || split_part(l.subject, '/', 1)) into opening from unnest(p_limits) l
    where is_window(l.period) and not exists (
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
        insert into caps (scope, subject, period, starts_at, ends_at, leads, amount_micros, last_at)
        select l.scope, l.subject, l.period, l.starts_at, l.ends_at, n.leads, n.amount_micros,
            last_attempt(l.scope, l.subject, l.period)
        from unnest(p_limits) l cross join lateral count_attempts(l.scope, l.subject, l.starts_at, l.ends_at) n
        where is_window(l.period) and not exists (
            select from caps c where (c.scope, c.subject, c.period, c.starts_at, c.ends_at)
                = (l.scope, l.subject, l.period, l.starts_at, l.ends_at))
        order by 1, 2, 3, 4, 5
        on conflict do nothing;
    end if;
end $$;

-- Adds an attempt made at `p_at` to all windows of its subjects that it lies in; `p_orders` are its order and sub-caps.
create function add_to_caps(
    p_orders text[], p_seller text, p_campaign text, p_at timestamptz, p_leads integer, p_amount bigint
) returns void language plpgsql as $$
begin
    update caps set leads = leads + p_leads, amount_micros = amount_micros + p_amount, changes = changes + 1,
        last_at = case when scope = 'order' and period = 'total' then greatest(last_at, p_at) end
    where ((scope = 'order' and subject = any (p_orders)) or (scope = 'seller' and subject = p_seller)
            or (scope = 'campaign' and subject = p_campaign))
        and ends_at > p_at and starts_at <= p_at;
end $$;

create or replace function add_to_caps(
    p_order text, p_seller text, p_campaign text, p_at timestamptz, p_leads integer, p_amount bigint
) returns void language sql as $$
    select add_to_caps(array[p_order], p_seller, p_campaign, p_at, p_leads, p_amount)
$$;

-- As before, and the sub-caps of those attempts and of these limits.
create or replace function lock_attempts(
    p_attempts uuid[], p_orders text[], p_buyers text[], p_seller text, p_campaign text, p_currency text,
    p_limits cap_limit[], p_fingerprints bytea[]
) returns void language plpgsql as $$
begin
    perform lock_people(p_fingerprints);
    perform lock_subjects(p_orders, p_seller, p_campaign, p_limits);
    perform lock_caps(p_orders || parts_of(p_attempts) || parts_of(p_limits), p_seller, p_campaign, coalesce(
        (select min(created_at) from attempts where attempt_id = any (p_attempts)), now()));
    perform from accounts where kind = 'buyer' and owner = any (p_buyers) and currency = p_currency
    order by owner for update;
end $$;

-- As before, with sub-caps, and by all kinds of limits.
create or replace function take_caps_and_balance(p_post new_post, p_attempt new_attempt, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    refused integer;
    parts text[] := parts_of(p_limits);
    orders text[] := p_attempt.order_key || parts;
begin
    if lock_caps(orders, p_post.seller, p_post.campaign, now()) then
        select case when l.scope <> 'order' then 404 when lacks_leads(l, c) then 203 else 204 end into refused
        from unnest(p_limits) l join caps c on (c.scope, c.subject) = (l.scope, l.subject)
            and c.ends_at > now() and c.starts_at <= now() and is_on(l, c, p_limits)
        where lacks_leads(l, c) or lacks_money(l, c, p_attempt.gross_micros)
        order by 1 desc limit 1;
        if refused is not null then
            raise exception '%', refused using errcode = 'LX001';
        end if;
        perform add_to_caps(orders, p_post.seller, p_post.campaign, now(), 1, p_attempt.gross_micros);
        if cardinality(parts) > 0 then
            insert into counted_parts (attempt_id, subject) select p_attempt.attempt_id, unnest(parts);
        end if;
    end if;
    update accounts set held_micros = held_micros + p_attempt.gross_micros
    where (kind, owner, currency) = ('buyer', p_attempt.buyer, p_post.currency)
        and balance_micros - held_micros + credit_limit_micros >= p_attempt.gross_micros;
    if not found then
        raise exception '205' using errcode = 'LX001';
    end if;
end $$;

-- The limits that have no window of their own; their rows are locked. Raises LX001 where one says no, and where a limit
-- has no row yet; `p_others` of them are known to have one.
create function check_odd_limits(p_limits cap_limit[], p_gross bigint, p_others integer) returns void
language plpgsql as $$
declare
    odd integer;
    is_full boolean;
begin
    select count(*), bool_or(lacks_leads(l, c) or lacks_money(l, c, p_gross)) into odd, is_full
    from unnest(p_limits) l join caps c on (c.scope, c.subject) = (l.scope, l.subject)
        and c.ends_at > now() and c.starts_at <= now() and is_on(l, c, p_limits)
    where not is_window(l.period);
    if p_others + odd < cardinality(p_limits) or is_full then
        raise exception 'full, or not open yet' using errcode = 'LX001';
    end if;
end $$;

-- As before, with sub-caps, and by all kinds of limits. For who has none of them it is as many statements as it was.
create or replace function count_and_hold(p_post new_post, p_attempt new_attempt, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    windows integer;
    limited integer;
    is_full boolean;
    item cap_limit;
    orders text[] := array[p_attempt.order_key];            -- the order, and the sub-caps that the lead counts in
begin
    foreach item in array p_limits loop
        if strpos(item.subject, '/') > 0 and item.subject <> all (orders) then
            orders := orders || item.subject;
        end if;
    end loop;
    perform pg_advisory_xact_lock_shared(hashtextextended('order:' || p_attempt.order_key, 0)),
        pg_advisory_xact_lock_shared(hashtextextended('seller:' || p_post.seller, 0)),
        pg_advisory_xact_lock_shared(hashtextextended('campaign:' || p_post.campaign, 0));
    select count(*), count(l.scope),
        bool_or(c.leads >= l.leads_max or c.amount_micros + p_attempt.gross_micros > l.amount_max)
    into windows, limited, is_full
    from (
        select * from caps
        where ((scope = 'order' and subject = any (orders)) or (scope = 'seller' and subject = p_post.seller)
                or (scope = 'campaign' and subject = p_post.campaign))
            and ends_at > now() and starts_at <= now()
        order by scope, subject, period, starts_at, ends_at for update
    ) c left join unnest(p_limits) l using (scope, subject, period, starts_at, ends_at);
    if is_full then
        raise exception 'full' using errcode = 'LX001';
    end if;
    if limited < cardinality(p_limits) then
        perform check_odd_limits(p_limits, p_attempt.gross_micros, limited);
    end if;
    if windows > 0 then
        perform add_to_caps(orders, p_post.seller, p_post.campaign, now(), 1, p_attempt.gross_micros);
    end if;
    if cardinality(orders) > 1 then
        insert into counted_parts (attempt_id, subject) select p_attempt.attempt_id, unnest(orders[2:]);
    end if;
    update accounts set held_micros = held_micros + p_attempt.gross_micros
    where (kind, owner, currency) = ('buyer', p_attempt.buyer, p_post.currency)
        and balance_micros - held_micros + credit_limit_micros >= p_attempt.gross_micros;
    if not found then
        raise exception 'the balance does not suffice' using errcode = 'LX001';
    end if;
end $$;

-- As before, with its sub-caps.
create or replace function count_attempt_again(p_attempt uuid) returns void language plpgsql as $$
declare
    item record;
    orders text[];
begin
    select a.order_key, a.created_at, a.gross_micros, p.seller, p.campaign into strict item
    from attempts a join posts p using (post_id) where a.attempt_id = p_attempt;
    orders := item.order_key || parts_of(array[p_attempt]);
    perform lock_subjects(array[item.order_key], item.seller, item.campaign, '{}');
    perform lock_caps(orders, item.seller, item.campaign, item.created_at);
    perform add_to_caps(orders, item.seller, item.campaign, item.created_at, 1, item.gross_micros);
end $$;

-- As before, with its sub-caps; where it was an order's last attempt, the one before it is so again.
create or replace function uncount_attempt(p_attempt uuid) returns void language plpgsql as $$
declare
    item record;
    orders text[];
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
    orders := item.order_key || parts_of(array[p_attempt]);
    perform lock_subjects(array[item.order_key], item.seller, item.campaign, '{}');
    perform lock_caps(orders, item.seller, item.campaign, item.created_at);
    update caps set leads = leads - 1, amount_micros = amount_micros - item.gross_micros, changes = changes + 1,
        last_at = case when last_at <= item.created_at then last_attempt(scope, subject, period) else last_at end
    where ((scope = 'order' and subject = any (orders)) or (scope = 'seller' and subject = item.seller)
            or (scope = 'campaign' and subject = item.campaign))
        and ends_at > item.created_at and starts_at <= item.created_at and opened_by <> pg_current_xact_id();
end $$;
