-- A binary from before there were tokens may run beside this one while it is replaced, and knows
-- nothing of them: whom it registers has a token all the same, and none counts without a card.

do $$
declare
    of_tokens name;
begin
    for of_tokens in
        select conname from pg_constraint
        join pg_attribute on attrelid = conrelid and attnum = any (conkey)
        where conrelid = 'anycall.member'::regclass and contype = 'c' and attname = 'card_token'
    loop
        execute format('alter table anycall.member drop constraint %I', of_tokens);
    end loop;
end $$;

alter table anycall.member alter column card_token
    set default 'card_' || replace(gen_random_uuid()::text, '-', '');

-- It may also register a card for whom it did not register.
update anycall.member set card_token = default where card_token is null;
