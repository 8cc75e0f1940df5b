-- Endpoints that are left alone until an operator resets them, and the gateways that there are: limits on requests are
-- divided among them, and each says which breakers it has open. Gateways come and go, so theirs need no log.

create table endpoint_pauses (
    buyer text not null,
    endpoint text not null,
    why text not null,
    paused_at timestamptz,
    reset_at timestamptz,
    primary key (buyer, endpoint)
);

create unlogged table gateways (
    gateway uuid primary key,
    seen_at timestamptz not null,
    unwell json not null
);

create function seen_gateway(me uuid, my_unwell json, gone_after interval) returns integer language plpgsql as $$
declare
    alive integer;
begin
    insert into gateways values (me, clock_timestamp(), my_unwell)
        on conflict (gateway) do update set seen_at = excluded.seen_at, unwell = excluded.unwell;
    select count(*) into alive from gateways where seen_at > clock_timestamp() - gone_after;
    return alive;
end $$;
