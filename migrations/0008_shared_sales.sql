-- Shared sales: a post whose lead goes to several buyers at once, each in a leg of its own. Exclusive posts are as before.

alter table posts
    add column legs bigint[];                               -- promised for each leg; null where the sale is exclusive

-- At most one attempt of a leg may be alive, and at most one of a buyer, whatever the code believes.
create unique index attempts_one_live_in_leg on attempts (post_id, leg)
    where not exclusive and state not in ('rejected', 'not_sent');
create unique index attempts_one_live_of_buyer on attempts (post_id, buyer)
    where not exclusive and state not in ('rejected', 'not_sent');

-- As begin_post, for an offer of several legs; `payout_micros` of the post is what they are promised together.
create function begin_shared_post(p_post new_post, p_legs bigint[]) returns boolean language plpgsql as $$
begin
    if not begin_post(p_post) then
        return false;
    end if;
    update posts set legs = p_legs where post_id = p_post.post_id;
    return true;
end $$;

-- As prepare_attempt, for one leg of a shared post; `payout_micros` is what this leg is promised.
create function prepare_share(p_attempt new_attempt, p_post new_post, p_leg smallint) returns timestamptz
language plpgsql as $$
begin
    insert into attempts (attempt_id, post_id, ping_id, leg, ordinal, order_key, buyer, exclusive, test, bid_id, currency,
        gross_micros, payout_micros, state, lease_until)
    values (p_attempt.attempt_id, p_post.post_id, p_post.ping_id, p_leg, p_attempt.ordinal, p_attempt.order_key,
        p_attempt.buyer, false, p_post.test, p_attempt.bid_id, p_post.currency, p_attempt.gross_micros,
        p_post.payout_micros, 'prepared', now() + make_interval(secs => p_attempt.lease_s));
    return clock_timestamp();
end $$;

-- Locks a shared post, and returns its attempts, oldest first: what it is follows from them. Whoever changes one of its
-- attempts has that one locked before.
create function lock_shared_post(p_post uuid) returns setof attempts language plpgsql as $$
begin
    perform from posts where post_id = p_post for no key update;
    return query select * from attempts where post_id = p_post order by created_at, ordinal;
end $$;

-- As end_post, but for a post of which some leg is still under way: nothing is told yet.
create function let_shared_post_stand(p_post uuid, p_state text, p_reason smallint) returns void language sql as $$
    update posts set state = p_state, reason = p_reason,
        finished_at = case when p_state in ('pending', 'in_progress') then null else now() end
    where post_id = p_post
$$;
