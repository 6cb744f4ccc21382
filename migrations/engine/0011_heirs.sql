-- A run in which another goes on begins at the time at which that one ended, which its worker
-- says: it has it in memory, and the hours that its body sees must be those of its history. So
-- nothing has to be left in its inbox either. Workers of the version before do not say when, and
-- look there. All else is as before.
create or replace function hansom.tell_kin(p_kin jsonb, p_lost uuid[]) returns void
language plpgsql as $$
declare
    v_child hansom.late_child;
    v_now   timestamptz := clock_timestamp();
begin
    if jsonb_array_length(p_kin -> 'children') > 0 then
        perform hansom.start_children(p_kin -> 'children', p_lost);
    end if;
    if jsonb_array_length(p_kin -> 'heirs') > 0 then
        with h as (
            select * from jsonb_to_recordset(p_kin -> 'heirs') as h (
                part int, namespace text, workflow_id text, run_no int, run uuid, type text,
                events text, at timestamptz, deadline timestamptz, before uuid)
            where p_lost is null or h.before <> all (p_lost)
        ), begun as (
            -- With the labels of the run before.
            insert into hansom.workflow as w (part, namespace, workflow_id, run_no, run, type,
                                              status, undo, hot, started_at, labels)
            select h.part, h.namespace, h.workflow_id, h.run_no, h.run, h.type, 0, 0, true,
                   coalesce(h.at, v_now), p.labels
            from h join hansom.workflow p on p.part = h.part and p.namespace = h.namespace
                and p.workflow_id = h.workflow_id and p.run_no = h.run_no - 1
        ), told as (
            insert into hansom.history as t (part, run, event, at, events)
            select h.part, h.run, 0, coalesce(h.at, v_now), h.events from h
        ), left_there as (
            insert into hansom.inbox as i (part, run, message, namespace, workflow_id, run_no)
            select h.part, h.run, 'start', h.namespace, h.workflow_id, h.run_no
            from h where h.at is null
        )
        insert into hansom.alarm as a (part, due, run, seq, namespace, workflow_id, run_no)
        select h.part, h.deadline, h.run, 2147483647, h.namespace, h.workflow_id, h.run_no
        from h where h.deadline is not null;
    end if;
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
