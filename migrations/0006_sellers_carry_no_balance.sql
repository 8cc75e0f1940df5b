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
