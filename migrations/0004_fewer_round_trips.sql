-- What a post does in a row, in one call: each round trip costs a gateway more than what it asks for.

-- Moves money between accounts: the buyer's and the seller's balances, in this order for everybody, what is held of the
-- buyer, and the transfers, given column by column. Returns how many transfers were made.
create function move_money(
    p_buyer text, p_seller text, p_currency text,
    p_buyer_amount bigint, p_seller_amount bigint, p_released bigint,
    p_kinds text[], p_debit_kinds text[], p_debit_owners text[], p_credit_kinds text[], p_credit_owners text[],
    p_amounts bigint[], p_attempt uuid, p_note text
) returns integer language plpgsql as $$
declare
    made integer;
begin
    update accounts set balance_micros = balance_micros + p_buyer_amount, held_micros = held_micros - p_released
    where (kind, owner, currency) = ('buyer', p_buyer, p_currency);
    update accounts set balance_micros = balance_micros + p_seller_amount
    where (kind, owner, currency) = ('seller', p_seller, p_currency);
    insert into transfers (kind, debit_account, credit_account, amount_micros, attempt_id, note)
    select part.kind, debit.account_id, credit.account_id, part.amount_micros, p_attempt, p_note
    from unnest(p_kinds, p_debit_kinds, p_debit_owners, p_credit_kinds, p_credit_owners, p_amounts) with ordinality
        as part (kind, debit_kind, debit_owner, credit_kind, credit_owner, amount_micros, number)
    join accounts debit on (debit.kind, debit.owner, debit.currency) = (part.debit_kind, part.debit_owner, p_currency)
    join accounts credit on (credit.kind, credit.owner, credit.currency) = (part.credit_kind, part.credit_owner, p_currency)
    order by part.number;
    get diagnostics made = row_count;
    return made;
end $$;

-- Whether a campaign has not sold a person within its window. The person stays locked to the end of the transaction.
create function admit_people(p_fingerprints bytea[], p_campaign text, p_post uuid, p_days integer)
returns boolean language plpgsql as $$
begin
    perform lock_people(p_fingerprints);
    return not exists (
        select from fingerprints
        where scope = 'campaign' and subject = p_campaign and fingerprint = any (p_fingerprints)
            and post_id <> p_post and taken_at > now() - make_interval(days => p_days)
    );
end $$;
