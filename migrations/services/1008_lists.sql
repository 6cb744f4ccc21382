-- The lists of one system out of what all of them share: what is paid for, and what a message is
-- about, begins with the name of its system.

create index entry_of_system on payment.entry (split_part(account, '.', 1), payment_id)
    include (account) where kind = 'charge';

create index message_of_system on notification.message (split_part(about, '.', 1), message_id)
    include (about);
-- What one of them was told.
create index message_to on notification.message (recipient, split_part(about, '.', 1), message_id)
    include (about);
