-- The services of AnycallTaxi: membership, call and taxi. They would be three databases anywhere
-- else, so nothing here refers across them but by call_id and member_id.
--
-- What is written for a call belongs to the run of the workflow that asked for it first; no
-- other run changes it. The Korean words are those of the documents.

create schema anycall;

create table anycall.member (
    member_id           bigint generated always as identity primary key,
    member_name         text not null,
    phone_number        text not null,
    credit_card_number  text not null,
    friend_phone_number text not null
);

create sequence anycall.call_id;

create table anycall.call (
    call_id       bigint primary key,
    run           text not null,
    -- None, as the rest: the call was withdrawn before it was placed, and stays so.
    member_id     bigint,
    phone_number  text,
    start_address text,
    end_address   text,
    status        text not null check (status in ('택시호출', '호출취소', '서비스평가')),
    check (member_id is not null or status = '호출취소')
);

-- One row for each call that is dispatched.
create table anycall.taxi (
    call_id             bigint primary key,
    run                 text not null,
    -- None, as the rest: closed before it was opened, and stays so.
    member_id           bigint,
    start_address       text,
    end_address         text,
    call_status         text not null check (call_status in ('택시호출', '배정됨', '택시호출취소')),
    member_name         text,
    phone_number        text,
    credit_card_number  text,
    friend_phone_number text,
    taxi_number         text,
    taxi_info           text,
    taxi_status         text check (taxi_status in ('배정됨', '운행시작', '운행종료')),
    -- A taxi was taken off it, or would have been: none gets it any more.
    unassigned          boolean not null default false,
    pay_amt             bigint check (pay_amt > 0),
    estimate_score      text,
    check ((taxi_status is null) = (taxi_number is null)),
    check (taxi_status is distinct from '운행종료' or pay_amt is not null)
);

-- Who rides how often.
create table anycall.trip (
    call_id     bigint primary key,
    member_id   bigint not null,
    -- The how manieth of its member it was.
    ordinal     bigint not null check (ordinal > 0),
    pay_amt     bigint not null check (pay_amt > 0),
    recorded_at timestamptz not null default clock_timestamp()
);

create index trip_of_member on anycall.trip (member_id);
