-- What follows a sale, and what sellers are told of their posts afterwards: written down in the transaction that causes it,
-- and sent by workers.

-- Who is to be told or sent what, by the market in force: `subject` is the key of a seller or an order. It is replaced
-- with each market version, and is all that a sale asks to know that nobody follows it.
create table followers (
    scope   text    not null check (scope in ('seller', 'order')),
    subject text    not null,
    event   text    not null,
    name    text    not null,                               -- of the delivery; a seller's webhook is called so
    kind    text    not null,
    after_s integer not null default 0,
    every_s integer,                                        -- gathered, and sent at whole multiples of this; null: at once
    primary key (scope, subject, event, name)
);

-- No contact data is in here: what a lead is needed for refers to its post, where it lies sealed.
create table outbox (
    outbox_id   uuid        primary key,                    -- what the receiver knows it by, however often it is sent
    scope       text        not null,
    subject     text        not null,
    event       text        not null,
    name        text        not null,
    kind        text        not null,
    post_id     uuid        not null,
    attempt_id  uuid,                                       -- of a sale, whose lead is sent
    facts       json,                                       -- of a seller's event: what was true when it happened
    test        boolean     not null,
    state       text        not null default 'waiting' check (state in ('waiting', 'done', 'dead')),
    detail      text        not null default '',
    tries       integer     not null default 0,
    epoch       integer     not null default 1,             -- raised by whoever takes the row
    due_at      timestamptz not null,                       -- while it is being sent: when its lease runs out
    every_s     integer,
    batch_id    uuid,                                       -- of rows that are sent in one file
    created_at  timestamptz not null default now(),
    finished_at timestamptz
);
create index outbox_due on outbox (due_at) where state = 'waiting';
create index outbox_finished on outbox (state, finished_at) where state <> 'waiting';
create index outbox_by_post on outbox (post_id);

-- A UUIDv7 of this moment.
create function new_uuid7() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
        52, 1), 53, 1), 'hex')::uuid
$$;

create function follow(p_scope text, p_subject text, p_event text, p_post uuid, p_attempt uuid, p_facts json, p_test boolean)
returns void language sql as $$
    insert into outbox (outbox_id, scope, subject, event, name, kind, post_id, attempt_id, facts, test, due_at, every_s)
    select new_uuid7(), f.scope, f.subject, f.event, f.name, f.kind, p_post, p_attempt, p_facts, p_test,
        case when f.every_s is null then now() + make_interval(secs => f.after_s)
            else to_timestamp(ceil((extract(epoch from now()) + f.after_s) / f.every_s) * f.every_s) end,
        f.every_s
    from followers f where (f.scope, f.subject, f.event) = (p_scope, p_subject, p_event)
$$;

-- A sale was made, whoever said so: what its order has asked for follows.
create function follow_sale() returns trigger language plpgsql as $$
begin
    if exists (select from followers f where (f.scope, f.subject) = ('order', new.order_key)) then
        perform follow('order', new.order_key, 'sale', new.post_id, new.attempt_id, null, new.test);
    end if;
    return null;
end $$;
create trigger attempt_followed after update of state on attempts for each row
    when (new.state in ('accepted', 'presumed_accepted') and old.state not in ('accepted', 'presumed_accepted'))
    execute function follow_sale();

-- The status that a seller was told with a first answer.
create function status_told(p_answer bytea) returns text language sql immutable as $$
    select convert_from(p_answer, 'UTF8')::json ->> 'status'
$$;

-- A post came to an end that is not what its seller was told: `pending`, or another end.
create function follow_post() returns trigger language plpgsql as $$
begin
    if not exists (select from followers f where (f.scope, f.subject) = ('seller', new.seller)) then
        return null;
    end if;
    if (old.state <> new.state and (old.state <> 'in_progress' or status_told(new.answer) = 'pending'))
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
-- Most posts end as their sellers are told at that moment: those do not even call the function.
create trigger post_followed after update of state, answer on posts for each row
    when (new.state in ('accepted', 'rejected')
        and (old.state <> new.state or old.answer is distinct from new.answer)
        and (old.state <> 'in_progress' or position('pending'::bytea in new.answer) > 0))
    execute function follow_post();

create function follow_return() returns trigger language plpgsql as $$
declare
    item record;
begin
    select p.seller, p.ping_id, p.campaign, p.currency, p.test, a.leg, a.exclusive into item
    from posts p join attempts a using (post_id) where a.attempt_id = new.attempt_id;
    if exists (select from followers f where (f.scope, f.subject) = ('seller', item.seller)) then
        perform follow('seller', item.seller, 'post.returned', new.post_id, null, json_build_object(
            'ping_id', item.ping_id, 'campaign', item.campaign, 'test', item.test, 'status', 'returned',
            'reason_text', new.reason, 'currency', item.currency, 'at', clock_timestamp(),
            'price_micros', new.payout_micros, 'leg', case when not item.exclusive then item.leg end), item.test);
    end if;
    return null;
end $$;
create trigger return_followed after insert on returns for each row execute function follow_return();
