-- One row per run. A cache of history: narrow, inserted once, updated when it closes, parks
-- or changes its status. `part` is first in every key, and never changes.
create table hansom.workflow (
    part        int         not null,
    namespace   text        not null,
    workflow_id text        not null,
    -- 1, 2, ... executions of one workflow id.
    run_no      int         not null,
    -- UUIDv7, made by the starter.
    run         uuid        not null,
    type        text        not null,
    -- 0 running 1 compensating 2 stuck 3 completed 4 failed 5 cancelled
    status      smallint    not null,
    -- 0 none 1 owed 2 done 3 partial; kept while compensating, stuck or closed.
    undo        smallint    not null,
    -- Whether a new owner has to load it: it may have attempts in flight.
    hot         boolean     not null,
    started_at  timestamptz not null,
    closed_at   timestamptz,
    labels      jsonb,
    primary key (part, namespace, workflow_id, run_no),
    check ((status >= 3) = (closed_at is not null))
    -- Half of a page is left for the row as it will be when it closes: on the same page the
    -- update is logged as a small difference.
) with (fillfactor = 50);

-- Two orders in one index: what a new owner has to load, and lists, newest first.
create index workflow_recent on hansom.workflow (hot, run);
-- What needs a look is rare, and must be found among many.
create index workflow_attention on hansom.workflow (status, run) where status in (1, 2, 4, 5);

-- What happened, append-only: one row per run and commit.
create table hansom.history (
    part   int         not null,
    run    uuid        not null,
    -- Position of the row's first event; the next row starts where this one ends.
    event  int         not null,
    at     timestamptz not null,
    -- A JSON array. Text, because nothing in it is ever searched here.
    events text        not null,
    primary key (part, run, event)
);

-- History as people read it.
create view hansom.event as
select h.part, h.run, h.event + (e.n - 1)::int as event, h.at, e.what
from hansom.history h, jsonb_array_elements(h.events::jsonb) with ordinality as e (what, n);
