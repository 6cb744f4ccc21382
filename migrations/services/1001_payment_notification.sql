-- Two services that all systems share; each would have a database of its own anywhere else.

create schema payment;

create sequence payment.payment_id;

-- What is paid for. It belongs to the run of the workflow that asked for it first, and is locked
-- while anything is decided about it.
create table payment.account (
    account text primary key,
    run     text not null,
    -- What comes of this step of the run, or of one before it, is refused.
    barred  bigint check (barred >= 0)
);

-- A ledger: rows are added, and nothing else. Money is in whole Korean won.
create table payment.entry (
    account    text not null references payment.account,
    -- charge: taken. refund: given back. void: nothing will be taken any more.
    kind       text not null check (kind in ('charge', 'refund', 'void')),
    payment_id bigint unique,
    payer      text,
    amount     bigint not null,
    reason     text not null,
    entered_at timestamptz not null default clock_timestamp(),
    primary key (account, kind),
    check ((kind = 'charge') = (payment_id is not null)),
    check ((kind = 'charge') = (payer is not null)),
    check (case kind when 'void' then amount = 0 else amount > 0 end)
);

create schema notification;

create table notification.message (
    message_id   bigint generated always as identity primary key,
    -- The step that sent it: a second request of one step delivers nothing.
    step         text not null unique,
    about        text not null,
    channel      text not null check (channel in ('app', 'sms', 'kakao')),
    sender       text not null,
    recipient    text not null,
    message      text not null,
    delivered_at timestamptz not null default clock_timestamp()
);
