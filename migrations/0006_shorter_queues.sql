-- A seller's balance is what his transfers say. It decides nothing at a sale, so no sale waits for a row that carries it.

update accounts set balance_micros = 0 where kind <> 'buyer';
alter table accounts add constraint only_buyers_carry check (kind = 'buyer' or (balance_micros, held_micros) = (0, 0));

-- As before, but of the balances only the buyer's moves. `p_seller` and `p_seller_amount` stay for gateways that have not
-- been replaced yet.
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
    return made;
end $$;

-- Counts an attempt in the windows of its subjects, and holds its price, in as few statements as that takes. Raises LX001
-- where a window has to be opened first, and where a limit or the balance says no: which one, the slower way tells.
create function count_and_hold(p_post new_post, p_attempt new_attempt, p_limits cap_limit[])
returns void language plpgsql as $$
declare
    windows integer;
    limited integer;
    is_full boolean;
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('order:' || p_attempt.order_key, 0)),
        pg_advisory_xact_lock_shared(hashtextextended('seller:' || p_post.seller, 0)),
        pg_advisory_xact_lock_shared(hashtextextended('campaign:' || p_post.campaign, 0));
    select count(*), count(l.scope),
        bool_or(c.leads >= l.leads_max or c.amount_micros + p_attempt.gross_micros > l.amount_max)
    into windows, limited, is_full
    from (
        select * from caps
        where ((scope = 'order' and subject = p_attempt.order_key) or (scope = 'seller' and subject = p_post.seller)
                or (scope = 'campaign' and subject = p_post.campaign))
            and ends_at > now() and starts_at <= now()
        order by scope, subject, period, starts_at, ends_at for update
    ) c left join unnest(p_limits) l using (scope, subject, period, starts_at, ends_at);
    if limited < cardinality(p_limits) or is_full then
        raise exception 'full, or not open yet' using errcode = 'LX001';
    end if;
    if windows > 0 then
        perform add_to_caps(p_attempt.order_key, p_post.seller, p_post.campaign, now(), 1, p_attempt.gross_micros);
    end if;
    update accounts set held_micros = held_micros + p_attempt.gross_micros
    where (kind, owner, currency) = ('buyer', p_attempt.buyer, p_post.currency)
        and balance_micros - held_micros + credit_limit_micros >= p_attempt.gross_micros;
    if not found then
        raise exception 'the balance does not suffice' using errcode = 'LX001';
    end if;
end $$;

-- As before, in fewer statements.
create or replace function claim_post(
    p_key request_key, p_post new_post, p_attempt new_attempt,
    p_limits cap_limit[], p_fingerprints bytea[], p_campaign_days integer, p_buyer_days integer
) returns timestamptz language plpgsql as $$
begin
    if (p_key.key is not null and not take_key(p_post.seller, p_key, p_post.post_id)) or not begin_post(p_post) then
        raise exception 'claimed before' using errcode = 'LX001';
    end if;
    if p_post.test then
        return prepare_attempt(p_attempt, p_post);
    end if;
    if p_campaign_days is not null or p_buyer_days is not null then
        perform lock_people(p_fingerprints);
        if (p_campaign_days is not null
                and not take_people('campaign', p_post.campaign, p_fingerprints, p_post.post_id, p_campaign_days))
            or (p_buyer_days is not null
                and not take_people('buyer', p_attempt.buyer, p_fingerprints, p_post.post_id, p_buyer_days))
        then
            raise exception 'had before' using errcode = 'LX001';
        end if;
    end if;
    perform prepare_attempt(p_attempt, p_post);
    perform count_and_hold(p_post, p_attempt, p_limits);
    return clock_timestamp();
end $$;
