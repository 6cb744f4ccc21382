-- Somebody's open transaction may have a workflow id, for as long as it likes: only starts of that
-- id wait for it. What else is in a commit with one does not.

-- Inserts the runs that one commit starts. Answers those that have not got their id: another start
-- has it, or may have it once its transaction is committed. Such a start is made again outside the
-- commit, by whoever asks for it.
create function hansom.insert_runs(
    w_part int[], w_namespace text[], w_workflow_id text[], w_run_no int[], w_run uuid[],
    w_type text[], w_hot boolean[], w_started_at timestamptz[], w_labels text[]
) returns uuid[]
language plpgsql
-- As long as another commit takes.
set lock_timeout = '20ms'
as $$
declare
    v_lost uuid[];
    v_rows bigint := 0;
begin
    begin
        insert into hansom.workflow as w (part, namespace, workflow_id, run_no, run, type,
                                          status, undo, hot, started_at, labels)
        select n.part, n.namespace, n.workflow_id, n.run_no, n.run, n.type,
               0, 0, n.hot, n.started_at, n.labels::jsonb
        from unnest(w_part, w_namespace, w_workflow_id, w_run_no, w_run, w_type, w_hot,
                    w_started_at, w_labels)
            as n (part, namespace, workflow_id, run_no, run, type, hot, started_at, labels)
        on conflict (part, namespace, workflow_id, run_no) do nothing;
        get diagnostics v_rows = row_count;
    exception when lock_not_available then
        -- One by one, to find out which.
        perform set_config('lock_timeout', '1ms', true);
        for i in 1 .. cardinality(w_run) loop
            begin
                insert into hansom.workflow as w (part, namespace, workflow_id, run_no, run, type,
                                                  status, undo, hot, started_at, labels)
                values (w_part[i], w_namespace[i], w_workflow_id[i], w_run_no[i], w_run[i],
                        w_type[i], 0, 0, w_hot[i], w_started_at[i], w_labels[i]::jsonb)
                on conflict (part, namespace, workflow_id, run_no) do nothing;
            exception when lock_not_available then
                null;
            end;
        end loop;
    end;
    if v_rows < cardinality(w_run) then
        select array_agg(n.run) into v_lost
        from unnest(w_part, w_namespace, w_workflow_id, w_run_no, w_run)
            as n (part, namespace, workflow_id, run_no, run)
        where not exists (
            select from hansom.workflow w
            where w.part = n.part and w.namespace = n.namespace
              and w.workflow_id = n.workflow_id and w.run_no = n.run_no and w.run = n.run);
    end if;
    return v_lost;
end $$;

-- As `hansom.start`, but waits only so long for a transaction that may have the id. Null when that is
-- still open: nothing is kept, and nobody knows yet.
create function hansom.try_start(
    p_part int, p_namespace text, p_workflow_id text, p_run_no int, p_run uuid, p_type text,
    p_events text, p_labels text, p_deadline timestamptz, p_patience text
) returns boolean
language plpgsql
-- What is set below ends with this function.
set lock_timeout = '1ms'
as $$
begin
    perform set_config('lock_timeout', p_patience, true);
    return hansom.start(p_part, p_namespace, p_workflow_id, p_run_no, p_run, p_type, p_events,
                        p_labels, p_deadline, true);
exception when lock_not_available then
    return null;
end $$;

-- Children whose ids, or those of others in their commit, were in somebody's open transaction. They
-- are tried until it is known whose the id is.
create table hansom.late_child (
    part               int  not null,
    run                uuid not null,
    namespace          text not null,
    workflow_id        text not null,
    type               text not null,
    events             text not null,
    parent_part        int  not null,
    parent_workflow_id text not null,
    parent_run_no      int  not null,
    parent_run         uuid not null,
    -- What the parent hears if it never begins: the key of the message, and its payload.
    message            text not null,
    taken              text not null,
    primary key (part, run)
);

create function hansom.tell_taken(p_child hansom.late_child) returns void
language sql as $$
    insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no, payload)
    values (p_child.parent_part, p_child.parent_run, p_child.message, p_child.namespace,
            p_child.parent_workflow_id, p_child.parent_run_no, p_child.taken)
    on conflict (part, run, message) do nothing
$$;

-- Starts the children of one commit: all at once, or later each for itself.
create function hansom.start_children(p_children jsonb, p_lost uuid[]) returns void
language plpgsql
set lock_timeout = '20ms'
as $$
declare
    v_child hansom.late_child;
begin
    for v_child in
        select * from jsonb_populate_recordset(null::hansom.late_child, p_children) as c
        where p_lost is null or c.parent_run <> all (p_lost)
    loop
        if not hansom.start(v_child.part, v_child.namespace, v_child.workflow_id, 1, v_child.run,
                            v_child.type, v_child.events, null, null, false) then
            perform hansom.tell_taken(v_child);
        end if;
    end loop;
exception when lock_not_available then
    insert into hansom.late_child
    select * from jsonb_populate_recordset(null::hansom.late_child, p_children) as c
    where p_lost is null or c.parent_run <> all (p_lost);
end $$;

-- Tries the late children of these partitions again, some at a time.
create function hansom.start_late(p_parts int[]) returns void
language plpgsql as $$
declare
    v_child   hansom.late_child;
    v_started boolean;
begin
    for v_child in
        select * from hansom.late_child c where c.part = any (p_parts)
        -- So that those which go on waiting do not keep others from their turn.
        order by random() limit 100
        for update skip locked
    loop
        v_started := hansom.try_start(v_child.part, v_child.namespace, v_child.workflow_id, 1,
            v_child.run, v_child.type, v_child.events, null, null, '1ms');
        continue when v_started is null;
        delete from hansom.late_child c where c.part = v_child.part and c.run = v_child.run;
        if not v_started then
            perform hansom.tell_taken(v_child);
            perform pg_notify('hansom', v_child.parent_part::text);
        end if;
    end loop;
end $$;

-- As before, but for children that are late. One that is told to end before it began never does.
create or replace function hansom.tell_kin(p_kin jsonb, p_lost uuid[]) returns void
language plpgsql as $$
declare
    v_child hansom.late_child;
begin
    if jsonb_array_length(p_kin -> 'children') > 0 then
        perform hansom.start_children(p_kin -> 'children', p_lost);
    end if;
    perform hansom.start(h.part, h.namespace, h.workflow_id, h.run_no, h.run, h.type, h.events,
                         p.labels::text, h.deadline, false)
    from jsonb_to_recordset(p_kin -> 'heirs') as h (
            part int, namespace text, workflow_id text, run_no int, run uuid, type text,
            events text, deadline timestamptz, before uuid)
        join hansom.workflow p on p.part = h.part and p.namespace = h.namespace
            and p.workflow_id = h.workflow_id and p.run_no = h.run_no - 1
    where p_lost is null or h.before <> all (p_lost);
    for v_child in
        delete from hansom.late_child c
        using jsonb_to_recordset(p_kin -> 'messages') as m (
            part int, run uuid, message text, sender uuid)
        where m.message in ('cancel', 'terminate') and c.part = m.part and c.run = m.run
          and (p_lost is null or m.sender <> all (p_lost))
        returning c.*
    loop
        perform hansom.tell_taken(v_child);
    end loop;
    insert into hansom.inbox as i
        (part, run, message, namespace, workflow_id, run_no, name, payload)
    select m.part, m.run, m.message, m.namespace, m.workflow_id, m.run_no, m.name, m.payload
    from jsonb_to_recordset(p_kin -> 'messages') as m (
        part int, run uuid, message text, namespace text, workflow_id text, run_no int,
        name text, payload text, sender uuid)
    where p_lost is null or m.sender <> all (p_lost)
    on conflict (part, run, message) do nothing;
end $$;

-- As before, but for starts whose id a transaction may have that is open.
create or replace function hansom.commit(
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
        v_lost := hansom.insert_runs(w_part, w_namespace, w_workflow_id, w_run_no, w_run, w_type,
                                     w_hot, w_started_at, w_labels);
        if v_lost is not null then
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

-- What it starts may have an id that is in somebody's open transaction: then all of it is left to the
-- worker, which tries each schedule for itself.
alter function hansom.fire set lock_timeout = '100ms';
