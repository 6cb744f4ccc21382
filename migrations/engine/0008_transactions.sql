-- Steps that take place in this very database, and starts from inside its transactions.

-- One small row per step whose handler takes the transaction: what it did and this row commit
-- together. Whoever attempts the step first inserts the row; the key makes a second attempt wait.
-- May be deleted together with the history of its run, not before.
create table hansom.outcome (
    part   int         not null,
    -- The run that asked for the action.
    run    uuid        not null,
    -- The action; of an undo, the action it undoes.
    seq    int         not null,
    undo   boolean     not null,
    at     timestamptz not null default clock_timestamp(),
    -- What the handler answered, as JSON. Null while the attempt runs, and where it is void.
    output text,
    -- Given up before it was done: it never will be.
    void   boolean     not null default false,
    primary key (part, run, seq, undo)
);

-- The first statement of an attempt. Fresh: the step is this transaction's, whose id is answered;
-- else what became of it, once that is known.
create function hansom.take_step(p_part int, p_run uuid, p_seq int, p_undo boolean)
returns table (fresh boolean, output text, void boolean, xid text)
language plpgsql as $$
begin
    loop
        insert into hansom.outcome as o (part, run, seq, undo)
        values (p_part, p_run, p_seq, p_undo)
        on conflict (part, run, seq, undo) do nothing;
        if found then
            return query select true, null::text, false, pg_current_xact_id()::xid::text;
            return;
        end if;
        return query
        select false, o.output, o.void, null::text from hansom.outcome o
        where o.part = p_part and o.run = p_run and o.seq = p_seq and o.undo = p_undo;
        if found then
            return;
        end if;
    end loop;
end $$;

-- The last statement before the commit of an attempt, in one message with it: the partition is
-- still that worker's, and stays it until the commit.
create function hansom.hold(p_part int, p_worker uuid, p_epoch bigint) returns void
language plpgsql as $$
begin
    perform from hansom.partition p
    where p.part = p_part and p.owner = p_worker and p.epoch = p_epoch
    for share;
    if not found then
        raise exception 'fenced: worker % partition % epoch %', p_worker, p_part, p_epoch
            using errcode = 'HS001';
    end if;
end $$;

-- Waits for an attempt of the action that runs, and answers whether the action took place. If
-- it did not, it never will.
create function hansom.void_step(p_part int, p_run uuid, p_seq int) returns boolean
language plpgsql as $$
declare
    v_void boolean;
begin
    loop
        insert into hansom.outcome as o (part, run, seq, undo, void)
        values (p_part, p_run, p_seq, false, true)
        on conflict (part, run, seq, undo) do nothing;
        if found then
            return false;
        end if;
        select o.void into v_void from hansom.outcome o
        where o.part = p_part and o.run = p_run and o.seq = p_seq and not o.undo;
        if found then
            return not v_void;
        end if;
    end loop;
end $$;

-- As before, and: an attempt whose commit takes long holds its partition, and is waited for no
-- longer than a commit of history.
create or replace function hansom.bury(p_worker uuid, p_lease interval) returns boolean
language plpgsql as $$
begin
    perform from hansom.worker
    where worker_id = p_worker and heartbeat_at < clock_timestamp() - p_lease
    for update skip locked;
    if not found then
        return false;
    end if;
    -- Whoever buries has to go on beating.
    perform set_config('lock_timeout', '1s', true);
    begin
        delete from hansom.fence where worker_id = p_worker;
        update hansom.partition set owner = null, epoch = epoch + 1, clean = false
        where owner = p_worker;
    exception when lock_not_available then
        return false;
    end;
    delete from hansom.worker where worker_id = p_worker;
    perform pg_notify('hansom', 'partitions');
    return true;
end $$;

-- Workflow types that workers have known, so that a start in SQL can tell a slip of the pen.
create table hansom.workflow_type (
    type      text        primary key,
    -- When a worker that knows it last joined.
    joined_at timestamptz not null default clock_timestamp()
);

-- As `part_of` in engine/src/address.rs. Frozen for the life of every database.
create function hansom.part_of(p_namespace text, p_workflow_id text, p_partitions int)
returns int
language sql immutable strict parallel safe as $$
    select ((('x' || encode(substr(sha256(
                convert_to(p_namespace, 'UTF8') || '\x00' || convert_to(p_workflow_id, 'UTF8')
            ), 1, 4), 'hex'))::bit(32)::bigint & 4294967295) % p_partitions)::int
$$;

-- A UUIDv7: milliseconds first, so that runs sort by when they were started; the rest is chance.
create function hansom.new_run() returns uuid
language sql volatile parallel safe as $$
    select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(made, 14)) ::uuid
    from replace(gen_random_uuid()::text, '-', '') as made
$$;

-- Why an input cannot be carried, or null. What passes can be read back by every worker.
create function hansom.unfit(p_input jsonb) returns text
language plpgsql immutable strict parallel safe as $$
begin
    if octet_length(p_input::text) > 2097152 then
        return format('it has %s bytes; the limit is 2097152', octet_length(p_input::text));
    elsif jsonb_path_exists(p_input,
            'strict $.**{64 to last} ? (@.type() == "object" || @.type() == "array")') then
        return 'it is nested more than 64 levels deep';
    elsif jsonb_path_exists(p_input, 'strict $.** ? (@.type() == "number"
            && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308
                || (@ != 0 && @ < 5e-324 && @ > -5e-324)))') then
        return 'a number in it is out of the range of a double: up to 1.7976931348623157e308, '
            'and at least 5e-324 unless 0';
    end if;
    return null;
end $$;

-- Why labels cannot be carried, or null.
create function hansom.unfit_labels(p_labels jsonb) returns text
language plpgsql immutable strict parallel safe as $$
declare
    v_bad text;
begin
    if jsonb_typeof(p_labels) <> 'object' then
        return 'they are no object';
    elsif (select count(*) from jsonb_object_keys(p_labels)) > 32 then
        return 'there are more than 32';
    end if;
    select l.key into v_bad from jsonb_each(p_labels) l
    where jsonb_typeof(l.value) <> 'string' or octet_length(l.key) > 255
       or octet_length(l.value #>> '{}') > 255
    limit 1;
    if found then
        return format('`%s` is no text of at most 255 bytes, or its key is longer', left(v_bad, 64));
    end if;
    return null;
end $$;

-- Starts a workflow in the transaction of whoever calls it, from any language: it is there when
-- that commits, and never was when it does not. A repetition with the same input answers the
-- same run. A transaction that is kept open keeps other starts of the same id waiting.
--
-- Whether the input has the shape that the type asks for only a worker can tell: where it has not,
-- the workflow is stuck. A type that no worker has ever known is refused, with those that are
-- known; as long as none is (no worker has joined yet), every type is taken.
--
-- HS010 the id is none · HS011 unknown type · HS012 the input cannot be carried · HS013 labels ·
-- HS014 another input has the id · HS015 an argument is missing or no choice · HS016 no partitions
create function hansom.start_workflow(
    workflow_id text,
    type        text,
    input       jsonb,
    labels      jsonb       default null,
    namespace   text        default 'default',
    deadline    timestamptz default null,
    id_reuse    text        default 'reject'
) returns table (run uuid, existing boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    p_id     text  := start_workflow.workflow_id;
    p_type   text  := start_workflow.type;
    p_input  jsonb := start_workflow.input;
    p_labels jsonb := nullif(start_workflow.labels, '{}');
    p_space  text  := start_workflow.namespace;
    v_run    uuid  := hansom.new_run();
    v_run_no int   := 1;
    v_part   int;
    v_events text;
    v_row    record;
begin
    v_part := hansom.check_start(p_id, p_type, p_input, p_labels, p_space, deadline, id_reuse);
    v_events := '[{"started":{"input":' || p_input::text
        || coalesce(',"deadline":' || (extract(epoch from deadline) * 1000000)::bigint, '')
        || '}}]';
    loop
        select w.run, w.run_no, w.type, w.status into v_row from hansom.workflow w
        where w.part = v_part and w.namespace = p_space and w.workflow_id = p_id
        order by w.run_no desc limit 1;
        if found then
            -- 3 completed, and above it what closed otherwise.
            if v_row.status < 3 or id_reuse = 'reject'
                or (id_reuse = 'allow_failed' and v_row.status = 3) then
                perform hansom.check_repetition(v_part, v_row.run, p_id, v_row.type, p_type, p_input);
                return query select v_row.run, true;
                return;
            end if;
            v_run_no := v_row.run_no + 1;
        end if;
        if hansom.start(v_part, p_space, p_id, v_run_no, v_run, p_type, v_events,
                        p_labels::text, deadline, true) then
            return query select v_run, false;
            return;
        end if;
        -- Another start was faster.
    end loop;
end $$;

-- Refuses a start that no worker could carry; answers its partition.
create function hansom.check_start(
    p_id text, p_type text, p_input jsonb, p_labels jsonb, p_space text, p_deadline timestamptz,
    p_id_reuse text
) returns int
language plpgsql stable as $$
declare
    v_known      text;
    v_unfit      text;
    v_partitions int;
begin
    if p_id is null or p_id !~ '^[A-Za-z0-9._:-]{1,255}$' then
        raise exception '`%` is not an id', left(p_id, 300)
            using errcode = 'HS010', hint = '1 to 255 of A-Z a-z 0-9 . _ : -';
    elsif p_type is null or p_input is null then
        raise exception 'a start needs a type and an input'
            using errcode = 'HS015', hint = 'an input of nothing is the JSON null';
    elsif p_space is distinct from 'default' then
        raise exception 'there is no namespace `%`', p_space
            using errcode = 'HS015', hint = 'there is only `default`';
    elsif p_id_reuse is null or p_id_reuse not in ('reject', 'allow_failed', 'allow') then
        raise exception '`%` is no way to use an id again', p_id_reuse
            using errcode = 'HS015', hint = 'one of: reject, allow_failed, allow';
    elsif p_deadline not between '1970-01-01 UTC' and '9999-12-31 UTC' then
        raise exception '% is no deadline', p_deadline
            using errcode = 'HS015', hint = 'a time before the year 10000';
    end if;
    if not exists (select from hansom.workflow_type t where t.type = p_type) then
        select string_agg(t.type, ', ' order by t.type) into v_known from hansom.workflow_type t;
        if v_known is not null then
            raise exception 'there is no workflow type `%`', p_type
                using errcode = 'HS011', hint = 'there are: ' || v_known;
        end if;
    end if;
    v_unfit := hansom.unfit(p_input);
    if v_unfit is not null then
        raise exception 'the input of `%` cannot be carried: %', p_id, v_unfit
            using errcode = 'HS012';
    end if;
    v_unfit := hansom.unfit_labels(p_labels);
    if v_unfit is not null then
        raise exception 'the labels of `%` cannot be carried: %', p_id, v_unfit
            using errcode = 'HS013', hint = 'at most 32, of text, each at most 255 bytes';
    end if;
    select s.value::int into v_partitions from hansom.setting s where s.name = 'partitions';
    if not found then
        raise exception 'this database has no partitions yet'
            using errcode = 'HS016', hint = 'run `hansom migrate`';
    end if;
    return hansom.part_of(p_space, p_id, v_partitions);
end $$;

-- Refuses a start whose id another input has.
create function hansom.check_repetition(
    p_part int, p_run uuid, p_id text, p_stored_type text, p_type text, p_input jsonb
) returns void
language plpgsql stable as $$
declare
    v_same boolean;
begin
    begin
        select p_stored_type = p_type
               and h.events::jsonb #> '{0,started,input}' = p_input into v_same
        from hansom.history h where h.part = p_part and h.run = p_run and h.event = 0;
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
