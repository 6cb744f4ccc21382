-- As before, and: what somebody started may have gone on in other runs since. A repetition is
-- compared with the first of them, as in Rust.
create or replace function hansom.check_repetition(
    p_part int, p_run uuid, p_id text, p_stored_type text, p_type text, p_input jsonb
) returns void
language plpgsql stable as $$
declare
    v_same boolean;
begin
    begin
        select b.type = p_type
               and h.events::jsonb #> '{0,started,input}' = p_input into v_same
        from hansom.workflow w
        join hansom.workflow b on b.part = w.part and b.namespace = w.namespace
            and b.workflow_id = w.workflow_id
            -- 7 went on in the next run.
            and b.run_no = 1 + coalesce(
                (select max(e.run_no) from hansom.workflow e
                 where e.part = w.part and e.namespace = w.namespace
                   and e.workflow_id = w.workflow_id and e.run_no < w.run_no
                   and e.status <> 7), 0)
        join hansom.history h on h.part = b.part and h.run = b.run and h.event = 0
        where w.hot in (true, false) and w.run = p_run and w.part = p_part;
    exception when untranslatable_character then
        -- It has a NUL somewhere, which no input in SQL can have.
        v_same := false;
    end;
    -- Without a history there is nothing to compare with.
    if not coalesce(v_same, true) then
        raise exception '`%` was started with another input', p_id
            using errcode = 'HS014',
                  detail = format('it is a `%s`, this start asks for a `%s`', p_stored_type, p_type),
                  hint = 'a repetition has the same type and input; something else has another id';
    end if;
end $$;

-- A limit that leads past the end of time lets every claim of its queue fail; none is more than a
-- year from now on.
update hansom.task
set limit_ms = least(limit_ms, 31536000000), heartbeat_ms = least(heartbeat_ms, 31536000000)
where limit_ms > 31536000000 or heartbeat_ms > 31536000000;
