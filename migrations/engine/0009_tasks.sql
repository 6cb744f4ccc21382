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

-- Attempts that are made elsewhere: one row per step, from when its attempt is offered until the
-- outcome of that attempt is committed. It stays so long so that offering it once more does nothing.
create table hansom.task (
    part         int         not null,
    run          uuid        not null,
    seq          int         not null,
    attempt      int         not null,
    queue        text        not null,
    -- 0 waiting 1 claimed 2 settled: its outcome is in the inbox
    state        smallint    not null,
    namespace    text        not null,
    workflow_id  text        not null,
    run_no       int         not null,
    activity     text        not null,
    -- 0 do 1 undo 2 verify
    direction    smallint    not null,
    -- The action this serves: itself, or what it undoes.
    of_seq       int         not null,
    idempotency_key text     not null,
    request      text        not null,
    offered_at   timestamptz not null,
    -- Of one claim: who holds it may settle it.
    token        uuid,
    worker       text,
    -- Limits of one claim, in milliseconds: to the end, and to the next heartbeat.
    limit_ms     bigint      not null,
    heartbeat_ms bigint,
    -- When the step has to be done, and when this claim has to.
    close_by     timestamptz,
    end_by       timestamptz,
    -- The earliest of all limits.
    expires_at   timestamptz,
    -- The workflow unwinds: nobody needs it any more.
    cancelled    boolean     not null default false,
    primary key (part, run, seq)
) with (fillfactor = 50);

-- What can be claimed, first come first served.
create index task_waiting on hansom.task (queue, offered_at, run, seq) where state = 0;
create index task_expiry on hansom.task (part, expires_at) where state < 2 and expires_at is not null;

-- Offers attempts to whoever performs them elsewhere, once their intent is committed; then drops
-- those whose outcome is. Only for a worker that has not been buried, which this makes wait, and
-- only in partitions it owns. False: it has been.
create function hansom.offer(
    p_worker uuid, p_lane int,
    o_part int[], o_run uuid[], o_seq int[], o_attempt int[], o_queue text[],
    o_namespace text[], o_workflow_id text[], o_run_no int[], o_activity text[],
    o_direction smallint[], o_of_seq int[], o_idempotency_key text[], o_request text[],
    o_limit_ms bigint[], o_heartbeat_ms bigint[], o_close_by timestamptz[],
    d_part int[], d_run uuid[], d_seq int[], d_attempt int[]
) returns boolean
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    perform from hansom.fence where worker_id = p_worker and lane = p_lane for key share;
    if not found then
        return false;
    end if;
    if cardinality(o_run) > 0 then
        insert into hansom.task as t (part, run, seq, attempt, queue, state, namespace,
            workflow_id, run_no, activity, direction, of_seq, idempotency_key, request,
            offered_at, limit_ms, heartbeat_ms, close_by, expires_at)
        select n.part, n.run, n.seq, n.attempt, n.queue, 0, n.namespace,
               n.workflow_id, n.run_no, n.activity, n.direction, n.of_seq, n.idempotency_key,
               n.request, statement_timestamp(), n.limit_ms, n.heartbeat_ms, n.close_by,
               n.close_by
        from unnest(o_part, o_run, o_seq, o_attempt, o_queue, o_namespace, o_workflow_id,
                    o_run_no, o_activity, o_direction, o_of_seq, o_idempotency_key, o_request,
                    o_limit_ms, o_heartbeat_ms, o_close_by)
            as n (part, run, seq, attempt, queue, namespace, workflow_id, run_no, activity,
                  direction, of_seq, idempotency_key, request, limit_ms, heartbeat_ms, close_by)
        where exists (select from hansom.partition p where p.part = n.part and p.owner = p_worker)
        on conflict (part, run, seq) do update
        set attempt = excluded.attempt, queue = excluded.queue, state = 0,
            activity = excluded.activity, direction = excluded.direction,
            idempotency_key = excluded.idempotency_key, request = excluded.request, offered_at = excluded.offered_at, token = null,
            worker = null, limit_ms = excluded.limit_ms, heartbeat_ms = excluded.heartbeat_ms,
            close_by = excluded.close_by, end_by = null, expires_at = excluded.expires_at,
            cancelled = false
        where t.attempt < excluded.attempt;
        perform pg_notify('hansom_task', q.queue || ' ' || count(*))
        from unnest(o_queue) as q (queue) group by q.queue;
    end if;
    if cardinality(d_run) > 0 then
        delete from hansom.task t
        using unnest(d_part, d_run, d_seq, d_attempt) as n (part, run, seq, attempt)
        where t.part = n.part and t.run = n.run and t.seq = n.seq and t.attempt = n.attempt;
    end if;
    return true;
end $$;

-- Takes up to so many attempts of these queues, queue by queue, and each the oldest first. Nothing
-- of a closed run, and nothing that is too late.
create function hansom.claim_tasks(p_queues text[], p_worker text, p_limit int)
returns table (
    part int, run uuid, seq int, attempt int, queue text, workflow_id text, activity text,
    direction smallint, of_seq int, idempotency_key text, request text, token uuid, details text,
    heartbeat_ms bigint, end_by timestamptz
)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_queue text;
    v_left  int := p_limit;
    v_taken int;
begin
    foreach v_queue in array p_queues loop
        return query
        with due as (
            select t.part, t.run, t.seq from hansom.task t
            where t.queue = v_queue and t.state = 0
              and (t.close_by is null or t.close_by > clock_timestamp())
              and exists (
                  select from hansom.workflow w
                  where w.part = t.part and w.namespace = t.namespace
                    and w.workflow_id = t.workflow_id and w.run_no = t.run_no
                    and w.closed_at is null)
            order by t.offered_at, t.run, t.seq limit v_left
            for update of t skip locked
        ), claimed as (
            update hansom.task t
            set state = 1, token = gen_random_uuid(), worker = p_worker,
                end_by = least(t.close_by, clock_timestamp() + t.limit_ms * interval '1 ms'),
                expires_at = least(t.close_by, clock_timestamp()
                    + least(t.limit_ms, t.heartbeat_ms) * interval '1 ms')
            from due where t.part = due.part and t.run = due.run and t.seq = due.seq
            returning t.*
        )
        select c.part, c.run, c.seq, c.attempt, c.queue, c.workflow_id, c.activity, c.direction,
               c.of_seq, c.idempotency_key, c.request, c.token, h.details, c.heartbeat_ms, c.end_by
        from claimed c left join hansom.heartbeat h
            on h.part = c.part and h.run = c.run and h.seq = c.seq
        order by c.offered_at, c.run, c.seq;
        get diagnostics v_taken = row_count;
        v_left := v_left - v_taken;
        exit when v_left <= 0;
    end loop;
end $$;

-- Their workflows unwind: what nobody has claimed is withdrawn, and whoever holds one is told with
-- his next heartbeat.
create function hansom.recall_tasks(p_part int[], p_run uuid[]) returns void
language sql as $$
    with recalled as (
        update hansom.task t
        set cancelled = true, state = case t.state when 0 then 2 else t.state end
        from unnest(p_part, p_run) as n (part, run)
        where t.part = n.part and t.run = n.run and t.state < 2 and t.direction <> 1
        returning t.*
    )
    insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no, payload)
    select r.part, r.run, 'outcome:' || r.seq || ':' || r.attempt, r.namespace, r.workflow_id,
           r.run_no, '{"failed":{"reason":"withdrawn: nobody had claimed it"}}'
    from recalled r where r.state = 2
    on conflict (part, run, message) do nothing
$$;

-- Settles what is too late in these partitions, up to so many; answers how many that were.
create function hansom.expire_tasks(p_parts int[], p_limit int) returns int
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now  timestamptz := clock_timestamp();
    v_rows int;
begin
    with due as (
        select d.* from unnest(p_parts) as p (part), lateral (
            select t.part, t.run, t.seq from hansom.task t
            where t.part = p.part and t.state < 2 and t.expires_at <= v_now
            order by t.expires_at limit p_limit
            for update skip locked
        ) d
        limit p_limit
    ), expired as (
        update hansom.task t set state = 2, token = null
        from due where t.part = due.part and t.run = due.run and t.seq = due.seq
        returning t.*
    )
    insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no, payload)
    select e.part, e.run, 'outcome:' || e.seq || ':' || e.attempt, e.namespace, e.workflow_id,
           e.run_no,
           json_build_object('failed', json_build_object('reason', case
               when e.close_by <= v_now then 'not done within its schedule_to_close'
               when e.end_by <= v_now then 'no answer within ' || e.limit_ms || 'ms'
               else 'no heartbeat within ' || e.heartbeat_ms || 'ms' end))::text
    from expired e
    on conflict (part, run, message) do nothing;
    get diagnostics v_rows = row_count;
    return v_rows;
end $$;
