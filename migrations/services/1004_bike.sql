-- The services of the bikes: bike, point, reservation, approval. They would be four databases
-- anywhere else, so nothing here refers across them but by number.
--
-- What is written for a reservation or a purchase belongs to the run of the workflow that wrote
-- it first; no other run changes it, or is answered with it.
--
-- Statuses are the words of the documents' protocol. Money is in whole Korean won; a point is one.

create schema bike;

create sequence bike.bike_id;

create table bike.management (
    bike_id         bigint primary key default nextval('bike.bike_id'),
    color           text not null,
    registered_date text not null,
    -- What a client repeats its registration with, if it does.
    idempotency_key text unique
);

-- Who has which bike.
create table bike.hold (
    reserve_no bigint primary key,
    run        text not null,
    -- None: refused, or freed before it was held, and stays so.
    bike_id    bigint references bike.management,
    state      text not null check (state in ('held', 'free', 'unknown', 'taken')),
    check (state <> 'held' or bike_id is not null),
    check (state not in ('unknown', 'taken') or bike_id is null)
);

-- No double booking.
create unique index hold_one_at_a_time on bike.hold (bike_id) where state = 'held';

create table bike.point (
    user_id     bigint primary key,
    total_point bigint not null check (total_point >= 0)
);

-- A ledger: what every balance is the sum of.
create table bike.point_entry (
    -- The workflow id of what it is for.
    account    text not null,
    run        text not null,
    -- increase: bought. use: spent. return: given back. void: a later use comes too late.
    kind       text not null check (kind in ('increase', 'use', 'return', 'void')),
    user_id    bigint,
    points     bigint not null check (points >= 0),
    entered_at timestamptz not null default clock_timestamp(),
    primary key (account, kind),
    check (kind = 'void' or user_id is not null)
);

-- Whichever comes first: points are spent on it, or never will be.
create unique index point_used_or_void on bike.point_entry (account) where kind in ('use', 'void');

create sequence bike.reserve_no;

create table bike.reservation (
    reserve_no  bigint primary key,
    run         text not null,
    -- None, as the bike: cancelled before it was written down, and stays so.
    user_id     bigint,
    bike_id     bigint,
    -- None: not decided yet.
    status      text check (status in ('예약시작', '예약거절', '예약취소', '사용완료')),
    reserved_at timestamptz,
    returned_at timestamptz,
    check ((user_id is null) = (bike_id is null)),
    check (user_id is not null or status = '예약취소')
);

create sequence bike.confirm_id;

create table bike.approval (
    confirm_id   bigint primary key,
    run          text not null,
    -- None, as all but this: cancelled before it was written down, and stays so.
    user_id      bigint,
    price        bigint check (price > 0),
    approve_date text,
    is_cancelled boolean not null,
    check (user_id is not null or is_cancelled)
);
