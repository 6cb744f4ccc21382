-- Workflows that the clock starts. `part` is the hash of namespace and schedule id, as for
-- workflows; whoever owns it looks after its schedules.
create table hansom.schedule (
    part        int         not null,
    namespace   text        not null,
    schedule_id text        not null,
    -- Raised with every change: who decided by an older one writes nothing.
    revision    bigint      not null default 1,
    -- What and when, as JSON: text, because nothing in it is ever searched.
    definition  text        not null,
    paused      boolean     not null,
    note        text,
    -- The next nominal time; none when it has ended.
    next_at     timestamptz,
    -- When somebody has to look: at the next fire, or at what was asked for by hand.
    look_at     timestamptz,
    -- Whether somebody has to look when its runs are closed.
    waiting     boolean     not null default false,
    -- How many starts are left, where they are limited.
    remaining   bigint,
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp(),
    primary key (part, namespace, schedule_id)
) with (fillfactor = 50);

create index schedule_due on hansom.schedule (part, look_at) where look_at is not null;
create index schedule_waiting on hansom.schedule (part) where waiting;
create index schedule_name on hansom.schedule (namespace, schedule_id);

-- One row for every nominal time, and what became of it.
create table hansom.schedule_fire (
    part          int         not null,
    namespace     text        not null,
    schedule_id   text        not null,
    nominal       timestamptz not null,
    -- 0 schedule 1 trigger 2 backfill
    cause         smallint    not null,
    -- 0 buffered 1 started 2 skipped 3 missed 4 dropped 5 failed 6 paused
    outcome       smallint    not null,
    -- The overlap policy that was asked for by hand: 0 skip 1 buffer_one 2 buffer_all
    -- 3 cancel_other 4 allow_all 5 terminate_other; none is the schedule's own.
    overlap       smallint,
    decided_at    timestamptz not null,
    -- What was started.
    workflow_part int,
    workflow_id   text,
    run           uuid,
    -- Whether what was started has not been seen closed.
    open          boolean     not null default false,
    detail        text,
    primary key (part, namespace, schedule_id, nominal)
);

create index schedule_fire_open on hansom.schedule_fire (part, namespace, schedule_id, nominal)
    where open;
create index schedule_fire_buffered
    on hansom.schedule_fire (part, namespace, schedule_id, decided_at, nominal)
    where outcome = 0;

-- What was decided of many schedules, in one transaction: their fires, what is started, and when
-- to look again. Arrays of one prefix have one element per row: s schedules, f fires, e fires
-- whose runs have ended, c runs that are told to end; f, e and c name their schedule by its
-- place among s, from 1.
--
-- A schedule that somebody else is at, or that has changed since, is left alone: so repeating a
-- call whose answer was lost is safe. Answers the schedules it took, and those fires (by their
-- place, from 1) that started nothing because a workflow has the id.
create function hansom.fire(
    s_part int[], s_namespace text[], s_id text[], s_revision bigint[], s_paused boolean[],
    s_note text[], s_next_at timestamptz[], s_look_at timestamptz[], s_waiting boolean[],
    s_remaining bigint[],
    f_schedule int[], f_nominal timestamptz[], f_cause smallint[], f_outcome smallint[],
    f_detail text[], f_part int[], f_workflow_id text[], f_run uuid[], f_type text[],
    f_events text[], f_labels text[],
    e_schedule int[], e_nominal timestamptz[],
    c_schedule int[], c_part int[], c_run uuid[], c_workflow_id text[], c_run_no int[],
    c_message text[], c_reason text[],
    out mine int[], out taken int[]
)
language plpgsql
-- The plans are made once for arrays of any length, and must look rows up by their keys.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    select array_agg(l.n) into mine
    from (
        select k.n::int as n
        from unnest(s_part, s_namespace, s_id, s_revision) with ordinality
            as k (part, namespace, id, revision, n)
        join hansom.schedule s
            on s.part = k.part and s.namespace = k.namespace and s.schedule_id = k.id
           and s.revision = k.revision
        for update of s skip locked
    ) l;
    if mine is null then
        return;
    end if;

    select array_agg(k.n) into taken
    from (
        select f.n::int as n,
               hansom.start(f.part, s_namespace[f.schedule], f.workflow_id, 1, f.run, f.type,
                            f.events, f.labels, null, false) as started
        from unnest(f_schedule, f_outcome, f_part, f_workflow_id, f_run, f_type, f_events, f_labels)
            with ordinality as f (schedule, outcome, part, workflow_id, run, type, events, labels, n)
        where f.outcome = 1 and f.schedule = any (mine)
    ) k
    where not k.started;

    insert into hansom.schedule_fire as t (part, namespace, schedule_id, nominal, cause, outcome,
        decided_at, workflow_part, workflow_id, run, open, detail)
    select s_part[f.schedule], s_namespace[f.schedule], s_id[f.schedule], f.nominal, f.cause,
           case when f.n = any (taken) then 5 else f.outcome end, v_now, f.part, f.workflow_id,
           case when f.n = any (taken) then null else f.run end,
           f.outcome = 1 and (f.n = any (taken)) is not true,
           case when f.n = any (taken) then 'there is a workflow of that id' else f.detail end
    from unnest(f_schedule, f_nominal, f_cause, f_outcome, f_detail, f_part, f_workflow_id, f_run)
        with ordinality
        as f (schedule, nominal, cause, outcome, detail, part, workflow_id, run, n)
    where f.schedule = any (mine)
    on conflict (part, namespace, schedule_id, nominal) do update
    set outcome = excluded.outcome, decided_at = excluded.decided_at,
        workflow_part = excluded.workflow_part, workflow_id = excluded.workflow_id,
        run = excluded.run, open = excluded.open, detail = excluded.detail
    -- A time that started something stays what it was.
    where t.outcome <> 1;

    update hansom.schedule_fire t set open = false
    from unnest(e_schedule, e_nominal) as e (schedule, nominal)
    where e.schedule = any (mine) and t.part = s_part[e.schedule]
      and t.namespace = s_namespace[e.schedule] and t.schedule_id = s_id[e.schedule]
      and t.nominal = e.nominal;

    insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no, payload)
    select c.part, c.run, c.message, s_namespace[c.schedule], c.workflow_id, c.run_no, c.reason
    from unnest(c_schedule, c_part, c_run, c_workflow_id, c_run_no, c_message, c_reason)
        as c (schedule, part, run, workflow_id, run_no, message, reason)
    where c.schedule = any (mine)
    on conflict (part, run, message) do nothing;
    if 1 = any (f_outcome) or cardinality(c_run) > 0 then
        perform pg_notify('hansom', 'inbox');
    end if;

    -- Every so often what is old goes: 30 days, but for what is still open or buffered.
    delete from hansom.schedule_fire t
    using unnest(s_part, s_namespace, s_id, s_revision) with ordinality
        as s (part, namespace, id, revision, n)
    where s.n = any (mine) and s.revision % 16 = 0
      and t.part = s.part and t.namespace = s.namespace and t.schedule_id = s.id
      and t.nominal < v_now - interval '30 days' and not t.open and t.outcome <> 0;

    update hansom.schedule s
    set revision = s.revision + 1, paused = n.paused, note = n.note, next_at = n.next_at,
        look_at = n.look_at, waiting = n.waiting, remaining = n.remaining
    from unnest(s_part, s_namespace, s_id, s_paused, s_note, s_next_at, s_look_at, s_waiting,
                s_remaining) with ordinality
        as n (part, namespace, id, paused, note, next_at, look_at, waiting, remaining, n)
    where n.n = any (mine) and s.part = n.part and s.namespace = n.namespace
      and s.schedule_id = n.id;
end $$;

-- Times asked for by hand (null: now), to be decided by whoever looks next. A time that has
-- started something, or is buffered, is not asked for again. Answers whether there is such a
-- schedule, the first of the times, and how many are asked for: none, when more than `p_limit`
-- would be buffered.
create function hansom.ask_fires(
    p_part int, p_namespace text, p_schedule_id text, p_nominal timestamptz[], p_cause smallint,
    p_overlap smallint, p_limit int,
    out known boolean, out first timestamptz, out asked int
)
language plpgsql as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_times timestamptz[] := coalesce(p_nominal, array[v_now]);
begin
    first := v_times[1];
    update hansom.schedule s set revision = s.revision + 1, look_at = v_now
    where s.part = p_part and s.namespace = p_namespace and s.schedule_id = p_schedule_id;
    known := found;
    if not known then
        return;
    end if;
    if p_limit < cardinality(v_times) + (
        select count(*) from hansom.schedule_fire t
        where t.part = p_part and t.namespace = p_namespace and t.schedule_id = p_schedule_id
          and t.outcome = 0)
    then
        return;
    end if;
    insert into hansom.schedule_fire as t
        (part, namespace, schedule_id, nominal, cause, outcome, overlap, decided_at)
    select p_part, p_namespace, p_schedule_id, n.nominal, p_cause, 0, p_overlap, v_now
    from unnest(v_times) as n (nominal)
    on conflict (part, namespace, schedule_id, nominal) do update
    set cause = excluded.cause, outcome = 0, overlap = excluded.overlap,
        decided_at = excluded.decided_at, detail = null
    where t.outcome not in (0, 1);
    get diagnostics asked = row_count;
end $$;
