-- What attempts say while they work: the last of each step, for the attempt that follows.
create table hansom.heartbeat (
    part    int         not null,
    run     uuid        not null,
    -- The command that is being carried out.
    seq     int         not null,
    -- Who said it: what an earlier one says after that does not count.
    attempt int         not null,
    details text        not null,
    beat_at timestamptz not null,
    primary key (part, run, seq)
) with (fillfactor = 50);
