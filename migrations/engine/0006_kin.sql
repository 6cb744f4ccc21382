-- What runs say to one another, deadlines, and labels that a body sets.

-- 6 terminated 7 continued (it goes on in the next run of its id)
drop index hansom.workflow_attention;
create index workflow_attention on hansom.workflow (status, run) where status in (1, 2, 4, 5, 6);

-- A start from a process that does not own the partition, from inside a transaction of the
-- caller's, or by a parent: the row, its first events, its deadline, and a message for the
-- owner. False when the id is taken; then nothing is kept.
create function hansom.start(
    p_part int, p_namespace text, p_workflow_id text, p_run_no int, p_run uuid, p_type text,
    p_events text, p_labels text, p_deadline timestamptz, p_hint boolean
) returns boolean
language plpgsql as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    insert into hansom.workflow as w (part, namespace, workflow_id, run_no, run, type,
                                      status, undo, hot, started_at, labels)
    values (p_part, p_namespace, p_workflow_id, p_run_no, p_run, p_type,
            0, 0, true, v_now, p_labels::jsonb)
    on conflict (part, namespace, workflow_id, run_no) do nothing;
    if not found then
        return false;
    end if;
    insert into hansom.history as h (part, run, event, at, events)
    values (p_part, p_run, 0, v_now, p_events);
    insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no)
    values (p_part, p_run, 'start', p_namespace, p_workflow_id, p_run_no);
    if p_deadline is not null then
        insert into hansom.alarm as a (part, due, run, seq, namespace, workflow_id, run_no)
        values (p_part, p_deadline, p_run, 2147483647, p_namespace, p_workflow_id, p_run_no);
    end if;
    if p_hint then
        perform pg_notify('hansom', p_part::text);
    end if;
    return true;
end $$;

-- What the runs of one commit say to others, all in the transaction of that commit: children
-- are started, and runs in which others go on, with their labels; messages are left. Rare,
-- and so one JSON: {"children": [..], "messages": [..], "heirs": [..]}.
-- Nothing of a run among `p_lost` is said.
create function hansom.tell_kin(p_kin jsonb, p_lost uuid[]) returns void
language plpgsql as $$
declare
    -- Not `c`: a variable of that name would hide the rows of the query.
    v_child record;
begin
    for v_child in
        select * from jsonb_to_recordset(p_kin -> 'children') as c (
            part int, namespace text, workflow_id text, run uuid, type text, events text,
            parent_part int, parent_workflow_id text, parent_run_no int, parent_run uuid,
            message text, taken text)
        where p_lost is null or c.parent_run <> all (p_lost)
    loop
        if not hansom.start(v_child.part, v_child.namespace, v_child.workflow_id, 1, v_child.run,
                            v_child.type, v_child.events, null, null, false) then
            insert into hansom.inbox as i
                (part, run, message, namespace, workflow_id, run_no, payload)
            values (v_child.parent_part, v_child.parent_run, v_child.message, v_child.namespace,
                    v_child.parent_workflow_id, v_child.parent_run_no, v_child.taken)
            on conflict (part, run, message) do nothing;
        end if;
    end loop;
    perform hansom.start(h.part, h.namespace, h.workflow_id, h.run_no, h.run, h.type, h.events,
                         p.labels::text, h.deadline, false)
    from jsonb_to_recordset(p_kin -> 'heirs') as h (
            part int, namespace text, workflow_id text, run_no int, run uuid, type text,
            events text, deadline timestamptz, before uuid)
        join hansom.workflow p on p.part = h.part and p.namespace = h.namespace
            and p.workflow_id = h.workflow_id and p.run_no = h.run_no - 1
    where p_lost is null or h.before <> all (p_lost);
    insert into hansom.inbox as i
        (part, run, message, namespace, workflow_id, run_no, name, payload)
    select m.part, m.run, m.message, m.namespace, m.workflow_id, m.run_no, m.name, m.payload
    from jsonb_to_recordset(p_kin -> 'messages') as m (
        part int, run uuid, message text, namespace text, workflow_id text, run_no int,
        name text, payload text, sender uuid)
    where p_lost is null or m.sender <> all (p_lost)
    on conflict (part, run, message) do nothing;
end $$;

-- As before, and: `u_labels` are merged into those a workflow has, `p_kin` is what its runs
-- say to others, and `p_hint` says whom to wake: a partition, or `inbox` for several.
create function hansom.commit(
    p_worker uuid, p_lane int, p_batch bigint,
    w_part int[], w_namespace text[], w_workflow_id text[], w_run_no int[], w_run uuid[],
    w_type text[], w_hot boolean[], w_started_at timestamptz[], w_labels text[],
    h_part int[], h_run uuid[], h_event int[], h_at timestamptz[], h_events text[],
    u_part int[], u_namespace text[], u_workflow_id text[], u_run_no int[], u_run uuid[],
    u_status smallint[], u_undo smallint[], u_hot boolean[], u_closed_at timestamptz[],
    u_labels text[],
    s_part int[], s_due timestamptz[], s_run uuid[], s_seq int[],
    s_namespace text[], s_workflow_id text[], s_run_no int[],
    d_part int[], d_due timestamptz[], d_run uuid[], d_seq int[],
    i_part int[], i_run uuid[], i_message text[],
    p_kin text, p_hint text
) returns uuid[]
language plpgsql
-- The plans are made once for arrays of any length, and must look rows up by their keys.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_batch bigint;
    v_lost  uuid[];
    v_rows  bigint;
begin
    update hansom.fence set batch = p_batch, lost = null
    where worker_id = p_worker and lane = p_lane and batch = p_batch - 1;
    if not found then
        select batch, lost into v_batch, v_lost
        from hansom.fence where worker_id = p_worker and lane = p_lane;
        if v_batch = p_batch then
            return v_lost;
        end if;
        raise exception 'fenced: worker % lane % batch %', p_worker, p_lane, p_batch
            using errcode = 'HS001';
    end if;

    if cardinality(w_run) > 0 then
        insert into hansom.workflow as w (part, namespace, workflow_id, run_no, run, type,
                                          status, undo, hot, started_at, labels)
        select n.part, n.namespace, n.workflow_id, n.run_no, n.run, n.type,
               0, 0, n.hot, n.started_at, n.labels::jsonb
        from unnest(w_part, w_namespace, w_workflow_id, w_run_no, w_run, w_type, w_hot,
                    w_started_at, w_labels)
            as n (part, namespace, workflow_id, run_no, run, type, hot, started_at, labels)
        on conflict (part, namespace, workflow_id, run_no) do nothing;
        get diagnostics v_rows = row_count;
        if v_rows < cardinality(w_run) then
            select array_agg(n.run) into v_lost
            from unnest(w_part, w_namespace, w_workflow_id, w_run_no, w_run)
                as n (part, namespace, workflow_id, run_no, run)
            where not exists (
                select from hansom.workflow w
                where w.part = n.part and w.namespace = n.namespace
                  and w.workflow_id = n.workflow_id and w.run_no = n.run_no and w.run = n.run);
            update hansom.fence set lost = v_lost where worker_id = p_worker and lane = p_lane;
        end if;
    end if;

    insert into hansom.history as h (part, run, event, at, events)
    select n.part, n.run, n.event, n.at, n.events
    from unnest(h_part, h_run, h_event, h_at, h_events) as n (part, run, event, at, events)
    where v_lost is null or n.run <> all (v_lost);

    if cardinality(u_run) > 0 then
        update hansom.workflow w
        set status = n.status, undo = n.undo, hot = n.hot, closed_at = n.closed_at,
            labels = case when n.labels is null then w.labels
                          else coalesce(w.labels, '{}') || n.labels::jsonb end
        from unnest(u_part, u_namespace, u_workflow_id, u_run_no, u_run, u_status, u_undo, u_hot,
                    u_closed_at, u_labels)
            as n (part, namespace, workflow_id, run_no, run, status, undo, hot, closed_at, labels)
        where w.part = n.part and w.namespace = n.namespace and w.workflow_id = n.workflow_id
          and w.run_no = n.run_no and w.run = n.run;
    end if;

    if cardinality(s_run) > 0 then
        insert into hansom.alarm as a (part, due, run, seq, namespace, workflow_id, run_no)
        select n.part, n.due, n.run, n.seq, n.namespace, n.workflow_id, n.run_no
        from unnest(s_part, s_due, s_run, s_seq, s_namespace, s_workflow_id, s_run_no)
            as n (part, due, run, seq, namespace, workflow_id, run_no)
        where v_lost is null or n.run <> all (v_lost);
    end if;
    if cardinality(d_run) > 0 then
        delete from hansom.alarm a
        using unnest(d_part, d_due, d_run, d_seq) as n (part, due, run, seq)
        where a.part = n.part and a.due = n.due and a.run = n.run and a.seq = n.seq;
    end if;
    if cardinality(i_run) > 0 then
        delete from hansom.inbox b
        using unnest(i_part, i_run, i_message) as n (part, run, message)
        where b.part = n.part and b.run = n.run and b.message = n.message;
    end if;
    if p_kin is not null then
        perform hansom.tell_kin(p_kin::jsonb, v_lost);
    end if;
    if p_hint is not null then
        perform pg_notify('hansom', p_hint);
    end if;
    return v_lost;
end $$;

-- Workers of the version before call these.
create or replace function hansom.commit(
    p_worker uuid, p_lane int, p_batch bigint,
    w_part int[], w_namespace text[], w_workflow_id text[], w_run_no int[], w_run uuid[],
    w_type text[], w_hot boolean[], w_started_at timestamptz[], w_labels text[],
    h_part int[], h_run uuid[], h_event int[], h_at timestamptz[], h_events text[],
    u_part int[], u_namespace text[], u_workflow_id text[], u_run_no int[], u_run uuid[],
    u_status smallint[], u_undo smallint[], u_hot boolean[], u_closed_at timestamptz[],
    s_part int[], s_due timestamptz[], s_run uuid[], s_seq int[],
    s_namespace text[], s_workflow_id text[], s_run_no int[],
    d_part int[], d_due timestamptz[], d_run uuid[], d_seq int[],
    i_part int[], i_run uuid[], i_message text[]
) returns uuid[]
language plpgsql as $$
begin
    return hansom.commit(
        p_worker, p_lane, p_batch, w_part, w_namespace, w_workflow_id, w_run_no, w_run, w_type,
        w_hot, w_started_at, w_labels, h_part, h_run, h_event, h_at, h_events, u_part,
        u_namespace, u_workflow_id, u_run_no, u_run, u_status, u_undo, u_hot, u_closed_at,
        array_fill(null::text, array[cardinality(u_run)]), s_part, s_due, s_run, s_seq,
        s_namespace, s_workflow_id, s_run_no, d_part, d_due, d_run, d_seq, i_part, i_run,
        i_message, null, null);
end $$;

create or replace function hansom.start(
    p_part int, p_namespace text, p_workflow_id text, p_run_no int, p_run uuid, p_type text,
    p_events text, p_labels text
) returns boolean
language sql as $$
    select hansom.start(p_part, p_namespace, p_workflow_id, p_run_no, p_run, p_type, p_events,
                        p_labels, null, true);
$$;
