-- Read models: what views say of each workflow, written by the commit that writes the events.

-- One row for each workflow and view: the fold of the newest run of that type and id.
create table hansom.view (
    part        int         not null,
    namespace   text        not null,
    workflow_id text        not null,
    view        text        not null,
    run_no      int         not null,
    run         uuid        not null,
    -- The number under which the row is asked for.
    key         bigint      not null,
    fields      jsonb       not null,
    -- How many events the run had, with the last that changed the row.
    events      int         not null,
    -- When that was committed.
    changed_at  timestamptz not null,
    -- The transaction that wrote the row, for whoever follows the changes. Not an xid8, which
    -- summaries of pages do not know.
    xact        bigint      not null default pg_current_xact_id()::text::bigint,
    primary key (part, namespace, workflow_id, view)
) with (fillfactor = 70);

create index view_key on hansom.view (view, key, run);
-- What changed lately stands on few pages, and this costs a commit next to nothing.
create index view_changed on hansom.view using brin (xact)
    with (pages_per_range = 16, autosummarize = on);

-- The rows that one commit changes, each as it is from now on; nothing of a run among `p_lost`.
create function hansom.write_views(p_views jsonb, p_lost uuid[]) returns void
language sql as $$
    insert into hansom.view as v (part, namespace, workflow_id, view, run_no, run, key, fields,
                                  events, changed_at)
    select n.part, n.namespace, n.workflow_id, n.view, n.run_no, n.run, n.key, n.fields,
           n.events, n.at
    from jsonb_to_recordset(p_views) as n (
        part int, namespace text, workflow_id text, view text, run_no int, run uuid, key bigint,
        fields jsonb, events int, at timestamptz)
    where p_lost is null or n.run <> all (p_lost)
    on conflict (part, namespace, workflow_id, view) do update
    set run_no = excluded.run_no, run = excluded.run, key = excluded.key,
        fields = excluded.fields, events = excluded.events, changed_at = excluded.changed_at,
        xact = excluded.xact
    where v.run_no <= excluded.run_no
$$;

-- As before, and: `p_views` are the rows of views that it changes. Mostly null.
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
    p_kin text, p_hint text, p_views text
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
    if p_views is not null then
        perform hansom.write_views(p_views::jsonb, v_lost);
    end if;
    if p_hint is not null then
        perform pg_notify('hansom', p_hint);
    end if;
    return v_lost;
end $$;

-- Workers of the version before call this.
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
language plpgsql as $$
begin
    return hansom.commit(
        p_worker, p_lane, p_batch, w_part, w_namespace, w_workflow_id, w_run_no, w_run,
        w_type, w_hot, w_started_at, w_labels, h_part, h_run, h_event, h_at, h_events,
        u_part, u_namespace, u_workflow_id, u_run_no, u_run, u_status, u_undo, u_hot,
        u_closed_at, u_labels, s_part, s_due, s_run, s_seq, s_namespace, s_workflow_id,
        s_run_no, d_part, d_due, d_run, d_seq, i_part, i_run, i_message, p_kin, p_hint,
        null);
end $$;

