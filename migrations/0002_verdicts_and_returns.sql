-- What was unknown is resolved, what was sold is returned, what is personal is erased.

alter table posts
    add column changed_fields text[] not null default '{}',  -- named in the answer, whoever has to make it
    add column erased_at      timestamptz;                   -- since when nobody can open the lead

alter table attempts
    add column tries integer not null default 0;             -- how often an unknown attempt was asked about

create or replace function attempt_states_only_move_forward() returns trigger language plpgsql as $$
begin
    if old.state = new.state
        or (old.state = 'prepared' and new.state in ('accepted', 'rejected', 'not_sent', 'unknown'))
        or (old.state = 'unknown' and new.state in ('accepted', 'rejected', 'not_sent', 'presumed_accepted',
                                                    'presumed_rejected'))
        or (old.state in ('presumed_accepted', 'presumed_rejected') and new.state in ('accepted', 'rejected'))
    then
        return new;
    end if;
    raise exception 'attempt %: % cannot become %', old.attempt_id, old.state, new.state using errcode = 'check_violation';
end $$;

-- Who or what said what became of an unknown attempt, and, where a presumption was wrong, what corrected it.
create table resolutions (
    resolution_id bigint generated always as identity primary key,
    attempt_id    uuid        not null references attempts,
    state_before  text        not null,
    state_after   text        not null,
    how           text        not null check (how in ('late_answer', 'resend', 'status', 'operator', 'presumption')),
    note          text        not null default '',
    created_at    timestamptz not null default now()
);
create index resolutions_by_attempt on resolutions (attempt_id, resolution_id);

-- A sale is returned once: the attempt is the key.
create table returns (
    attempt_id    uuid primary key references attempts,
    post_id       uuid        not null references posts,
    gross_micros  bigint      not null check (gross_micros >= 0),   -- credited to the buyer
    payout_micros bigint      not null check (payout_micros >= 0),  -- taken back from the seller
    reason        text        not null,
    note          text        not null default '',
    created_at    timestamptz not null default now()
);
create index returns_by_post on returns (post_id);

alter table transfers
    drop constraint transfers_kind_check,
    add constraint transfers_kind_check check (kind in (
        'deposit', 'charge', 'payout', 'margin',
        'return_charge', 'return_payout', 'return_margin',                  -- a sale that is given back
        'correction_charge', 'correction_payout', 'correction_margin'       -- a presumed sale that was none
    ));

create function records_are_immutable() returns trigger language plpgsql as $$
begin
    raise exception '% are never changed: correct one with another', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger resolutions_immutable before update or delete on resolutions
    for each row execute function records_are_immutable();
create trigger resolutions_not_truncated before truncate on resolutions
    for each statement execute function records_are_immutable();
create trigger returns_immutable before update or delete on returns
    for each row execute function records_are_immutable();
create trigger returns_not_truncated before truncate on returns
    for each statement execute function records_are_immutable();
