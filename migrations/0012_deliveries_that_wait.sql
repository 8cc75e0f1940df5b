-- Deliveries that wait for their hours or for one another, and those that are not sent because a condition does not hold.
-- `wanted_at` is when a row was to be sent for the first time: until then it is not late. What was written before was late
-- from the beginning.
alter table outbox drop constraint outbox_state_check;
alter table outbox add constraint outbox_state_check check (state in ('waiting', 'done', 'skipped', 'dead'));
alter table outbox add column wanted_at timestamptz;

create or replace function follow(p_scope text, p_subject text, p_event text, p_post uuid, p_attempt uuid, p_facts json,
    p_test boolean)
returns void language sql as $$
    insert into outbox (outbox_id, scope, subject, event, name, kind, post_id, attempt_id, facts, test, due_at, wanted_at,
        every_s)
    select new_uuid7(), f.scope, f.subject, f.event, f.name, f.kind, p_post, p_attempt, p_facts, p_test, t.due, t.due,
        f.every_s
    from followers f cross join lateral (select case when f.every_s is null then now() + make_interval(secs => f.after_s)
        else to_timestamp(ceil((extract(epoch from now()) + f.after_s) / f.every_s) * f.every_s) end as due) t
    where (f.scope, f.subject, f.event) = (p_scope, p_subject, p_event)
$$;
