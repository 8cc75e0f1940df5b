-- What buyers who ask for it are told of their bids: of those that won with the sale, of those that lost when a lead's fate
-- is final.

alter table pings add column notice_at timestamptz;         -- when to look at it; null: nobody who bid wants to know

-- Pings that buyers are to be told of: each from its commit on, until it was looked at for good.
create table pings_to_tell (
    ping_id uuid        primary key,
    look_at timestamptz not null
);
create index pings_to_tell_by_time on pings_to_tell (look_at);

create function tell_of_ping() returns trigger language plpgsql as $$
begin
    insert into pings_to_tell (ping_id, look_at) values (new.ping_id, new.notice_at) on conflict do nothing;
    return null;
end $$;
-- Where nobody asks, a ping does not even call the function.
create trigger ping_to_tell after insert on pings for each row
    when (new.notice_at is not null) execute function tell_of_ping();

alter table followers drop constraint followers_scope_check,
    add constraint followers_scope_check check (scope in ('seller', 'order', 'buyer'));
alter table outbox alter column post_id drop not null;      -- a notice of lost bids is of many pings
create index outbox_of_buyers on outbox (subject, event) where scope = 'buyer' and state = 'waiting';

-- A sale was made, whoever said so: what its order has asked for follows, and its buyer is told.
create or replace function follow_sale() returns trigger language plpgsql as $$
begin
    if exists (select from followers f where (f.scope, f.subject) in (('order', new.order_key), ('buyer', new.buyer))) then
        perform follow('order', new.order_key, 'sale', new.post_id, new.attempt_id, null, new.test);
        perform follow('buyer', new.buyer, 'bid.won', new.post_id, new.attempt_id, null, new.test);
    end if;
    return null;
end $$;
