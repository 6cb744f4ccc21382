-- A worker that has not been heard of for a lease is buried: its fence first (this waits for a
-- commit in flight), then its partitions, with a new epoch. In one transaction, and decided by
-- the database's clock alone. Answers whether it was buried here.
create function hansom.bury(p_worker uuid, p_lease interval) returns boolean
language plpgsql as $$
begin
    perform from hansom.worker
    where worker_id = p_worker and heartbeat_at < clock_timestamp() - p_lease
    for update skip locked;
    if not found then
        return false;
    end if;
    -- A commit that takes long is not waited for now: whoever buries has to go on beating.
    perform set_config('lock_timeout', '1s', true);
    begin
        delete from hansom.fence where worker_id = p_worker;
    exception when lock_not_available then
        return false;
    end;
    update hansom.partition set owner = null, epoch = epoch + 1, clean = false
    where owner = p_worker;
    delete from hansom.worker where worker_id = p_worker;
    perform pg_notify('hansom', 'partitions');
    return true;
end $$;

-- Takes up to so many partitions that nobody owns. A worker that has been buried gets none.
create function hansom.claim(p_worker uuid, p_wanted int)
returns table (part int, epoch bigint, clean boolean)
language plpgsql as $$
begin
    perform from hansom.worker w where w.worker_id = p_worker for share;
    if not found then
        return;
    end if;
    return query
    with free as (
        select p.part, p.clean from hansom.partition p
        where p.owner is null
        order by p.part limit p_wanted
        for update skip locked
    )
    update hansom.partition p
    set owner = p_worker, epoch = p.epoch + 1, clean = true
    from free where p.part = free.part
    returning p.part, p.epoch, free.clean;
end $$;
