-- What wakes a run that nobody holds in memory.

-- Timers and retries, by when they are due.
create table hansom.alarm (
    part        int         not null,
    due         timestamptz not null,
    run         uuid        not null,
    -- The command that waits.
    seq         int         not null,
    namespace   text        not null,
    workflow_id text        not null,
    run_no      int         not null,
    primary key (part, due, run, seq)
);

-- Messages from other processes. Anyone may insert; the owner consumes in its commits.
create table hansom.inbox (
    part        int         not null,
    run         uuid        not null,
    -- 'start', 'cancel' or 'signal:' and the sender's id: a repetition is one message.
    message     text        not null,
    namespace   text        not null,
    workflow_id text        not null,
    run_no      int         not null,
    -- Of a signal.
    name        text,
    payload     text,
    received_at timestamptz not null default clock_timestamp(),
    primary key (part, run, message)
);

create index inbox_arrival on hansom.inbox (part, received_at, message);
