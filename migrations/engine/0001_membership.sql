-- Who may write what. A partition is a fixed slice of all workflows; a worker owns some.
-- Settings that are fixed when the database is created.
create table hansom.setting (
    name  text primary key,
    value text not null
);

-- One row per live process. Liveness only: who may write is decided by `fence`.
create table hansom.worker (
    worker_id    uuid        primary key,
    started_at   timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp()
);

-- One row per thread of a worker that commits. Every commit raises `batch` by one and so
-- holds the row until it ends; burying a worker deletes the row and so waits for a commit in
-- flight. No row: fenced. `batch` answers whether a commit whose answer was lost took place.
create table hansom.fence (
    worker_id uuid   not null,
    lane      int    not null,
    batch     bigint not null default 0,
    -- Starts of the last batch that another start had preceded.
    lost      uuid[],
    primary key (worker_id, lane)
) with (fillfactor = 20);

create table hansom.partition (
    part   int     primary key,
    -- Raised at each change of owner.
    epoch  bigint  not null default 0,
    owner  uuid,
    -- Whether the last owner left in peace: then no attempt was cut short.
    clean  boolean not null default true
) with (fillfactor = 50);
