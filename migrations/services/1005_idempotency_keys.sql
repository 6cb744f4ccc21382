-- What the façades keep of requests that may be repeated. A key of a client stands for the number
-- that was drawn for it, from before the saga of that number is started.

create schema gateway;

create table gateway.drawn (
    -- The sequence that the number is of.
    series   text not null,
    -- As the client sent it: its Idempotency-Key.
    key      text not null check (octet_length(key) between 1 and 255),
    number   bigint not null,
    -- Keys are kept until somebody deletes them, by this; a request that is repeated after that is
    -- a new one.
    drawn_at timestamptz not null default clock_timestamp(),
    primary key (series, key)
);
