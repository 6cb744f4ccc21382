-- The number of a card is the membership's alone. Everybody else has a token, another for each
-- card, or the number masked.

alter table anycall.member add column card_token text unique;

update anycall.member set card_token = 'card_' || replace(gen_random_uuid()::text, '-', '')
    where credit_card_number <> '';

alter table anycall.member
    add check ((credit_card_number = '') = (card_token is null));

-- What others were told before.
update anycall.taxi set credit_card_number = '****-****-****-****'
    where credit_card_number is not null;
update payment.entry set payer = 'card' where kind = 'charge' and starts_with(account, 'anycall.');
