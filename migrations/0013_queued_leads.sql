-- Leads that found no buyer and wait for one. A lead that is sold becomes a post of the same id.

create table queued_leads (
    post_id          uuid        primary key,               -- of the post that it becomes
    ping_id          uuid        not null,                  -- the last one that was run for it
    seller           text        not null,
    campaign         text        not null,
    currency         text        not null,
    test             boolean     not null,
    source           text,
    ref              text,
    min_price_micros bigint,
    lead_sealed      bytea,                                 -- AES-GCM under lead_key, as long as it waits
    lead_key         bytea,                                 -- wrapped by the master key; erasing it erases the lead
    answer           bytea       not null,                  -- the first answer, byte for byte
    state            text        not null default 'waiting' check (state in ('waiting', 'posted', 'ended')),
    reason           smallint    not null,                  -- of the last ping; of one that ended, why it is not sold
    detail           text        not null default '',
    market_version   bigint      not null,                  -- that it was last run under
    runs             integer     not null default 0,
    epoch            integer     not null default 1,        -- raised by whoever takes the lead
    lease_until      timestamptz not null default now(),    -- until then nobody else takes it
    due_at           timestamptz not null,
    ends_at          timestamptz not null,
    created_at       timestamptz not null default now(),
    finished_at      timestamptz,
    erased_at        timestamptz,
    check ((state = 'waiting') = (finished_at is null)),
    check ((state = 'waiting') = (lead_key is not null))
);
create index queued_leads_due on queued_leads (due_at) where state = 'waiting';
create index queued_leads_by_campaign on queued_leads (campaign, market_version) where state = 'waiting';
create index queued_leads_finished on queued_leads (finished_at) where state <> 'waiting';

-- The pings that were run for a lead while it waited, the first one included.
create table queue_runs (
    post_id uuid        not null references queued_leads on delete cascade,
    run     integer     not null,
    ping_id uuid        not null,
    reason  smallint    not null,
    ran_at  timestamptz not null default now(),
    primary key (post_id, run)
);
create index queue_runs_by_ping on queue_runs (ping_id);

-- Lets a lead wait; false where as many wait as may. Raises LX001 for one that was withdrawn. May be repeated.
create function queue_lead(
    p_post uuid, p_ping uuid, p_seller text, p_campaign text, p_currency text, p_test boolean, p_source text, p_ref text,
    p_min_price bigint, p_sealed bytea, p_key bytea, p_answer bytea, p_reason smallint, p_version bigint,
    p_due timestamptz, p_ends timestamptz, p_most integer
) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('post:' || p_post, 0));
    if exists (select from withdrawals w where w.post_id = p_post) then
        raise exception 'withdrawn' using errcode = 'LX001';
    end if;
    if exists (select from queued_leads q where q.post_id = p_post) then
        return true;
    end if;
    if (select count(*) from (select from queued_leads q where q.campaign = p_campaign and q.state = 'waiting'
        limit p_most) waiting) >= p_most
    then
        return false;
    end if;
    insert into queued_leads (post_id, ping_id, seller, campaign, currency, test, source, ref, min_price_micros,
        lead_sealed, lead_key, answer, reason, market_version, due_at, ends_at)
    values (p_post, p_ping, p_seller, p_campaign, p_currency, p_test, p_source, p_ref, p_min_price, p_sealed, p_key,
        p_answer, p_reason, p_version, p_due, p_ends);
    insert into queue_runs (post_id, run, ping_id, reason) values (p_post, 0, p_ping, p_reason);
    return true;
end $$;

-- The wait of a lead has ended without a sale: its seller, who was told that it waits, is told.
create function follow_queue() returns trigger language plpgsql as $$
begin
    perform follow('seller', new.seller, 'post.rejected', new.post_id, null, json_build_object(
        'ping_id', new.ping_id, 'campaign', new.campaign, 'test', new.test, 'status', 'rejected',
        'reason', new.reason, 'currency', new.currency, 'at', clock_timestamp(), 'price_micros', null), new.test);
    return null;
end $$;
create trigger queue_followed after update of state on queued_leads for each row
    when (new.state = 'ended' and old.state = 'waiting') execute function follow_queue();

-- The seller of a queued lead was told `queued`: whatever becomes of its post is news to him.
create or replace function follow_post() returns trigger language plpgsql as $$
begin
    if not exists (select from followers f where (f.scope, f.subject) = ('seller', new.seller)) then
        return null;
    end if;
    if (old.state <> new.state and (old.state <> 'in_progress' or status_told(new.answer) in ('pending', 'queued')))
        or (old.state = new.state and status_told(new.answer) = 'pending'
            and status_told(old.answer) is distinct from 'pending')
    then
        perform follow('seller', new.seller, 'post.' || new.state, new.post_id, null, json_build_object(
            'ping_id', new.ping_id, 'campaign', new.campaign, 'test', new.test, 'status', new.state,
            'reason', new.reason, 'currency', new.currency, 'at', clock_timestamp(),
            'price_micros', case when new.state = 'accepted' and new.legs is null then new.payout_micros
                when new.state = 'accepted' then (select sum(a.payout_micros) from attempts a
                    where a.post_id = new.post_id and a.state in ('accepted', 'presumed_accepted')) end), new.test);
    end if;
    return null;
end $$;
drop trigger post_followed on posts;
create trigger post_followed after update of state, answer on posts for each row
    when (new.state in ('accepted', 'rejected')
        and (old.state <> new.state or old.answer is distinct from new.answer)
        and (old.state <> 'in_progress' or position('pending'::bytea in new.answer) > 0
            or position('queued'::bytea in new.answer) > 0))
    execute function follow_post();

-- What operators have said of unknown attempts: a worker counts it.
create index resolutions_by_operators on resolutions (state_after) where how = 'operator';
