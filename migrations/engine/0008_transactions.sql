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
