-- The services of taxisvc: call, payment, drive, and the view of the rider.
-- They would be four databases anywhere else, so nothing here refers across them
-- but by call_id, and each of their changes commits with its event and its
-- projection in one statement.
--
-- What is written for a call belongs to the run of the workflow that asked for
-- it first; no other run changes it, or is answered with it.
--
-- Money is in whole Korean won; a distance is in hundredths of a kilometre.

create sequence taxisvc.call_id;

create table taxisvc.call (
    call_id   bigint primary key,
    run       text not null,
    user_id   text,
    user_name text,
    -- None: the call was cancelled before it was registered, and stays so.
    distance  bigint check (distance between 1 and 100000000),
    -- None: registered, and not paid yet.
    status    text check (status in
        ('driveRequest', 'payFail', 'driveStart', 'driveComplete', 'requestCancel')),
    -- When CallPlaced was published, if it was.
    placed_at timestamptz
);

create sequence taxisvc.pay_id;

-- A ledger: rows are added, and nothing else.
create table taxisvc.payment (
    call_id    bigint not null,
    run        text not null,
    -- charge: taken. refund: given back. void: a later charge comes too late.
    kind       text not null check (kind in ('charge', 'refund', 'void')),
    pay_id     bigint unique,
    fare       bigint not null check (fare >= 0),
    reason     text not null,
    entered_at timestamptz not null default clock_timestamp(),
    primary key (call_id, kind),
    check ((kind = 'charge') = (pay_id is not null))
);

-- Whichever comes first: a call is charged, or it never will be.
create unique index payment_charged_or_void on taxisvc.payment (call_id)
    where kind in ('charge', 'void');

create sequence taxisvc.drive_id;

create table taxisvc.drive (
    call_id     bigint primary key,
    run         text not null,
    -- None, as all but the status: released before it was requested, and stays so.
    drive_id    bigint unique,
    driver_name text,
    taxi_num    text,
    fare        bigint check (fare >= 0),
    status      text not null check (status in ('start', 'end', 'requestCancel'))
);

-- What the rider sees, in one place; written by the services, read without them.
create table taxisvc.call_view (
    call_id      bigint primary key,
    call_status  text not null,
    user_name    text not null,
    drive_id     bigint,
    drive_status text,
    driver_name  text,
    taxi_num     text
);

create table taxisvc.event (
    event_id   bigint generated always as identity primary key,
    -- Spelled as the documents spell it.
    event_type text not null check (event_type in ('FarePaid', 'CallPlaced', 'DriveStarted',
        'DriveNotAvailavled', 'CallCancelled', 'DrivieEnded')),
    payload    json not null,
    at         timestamptz not null default clock_timestamp(),
    -- So that readers can stop short of a transaction that may still add a lower id.
    xact       xid8 not null default pg_current_xact_id()
);

-- Kilometres, as the documents write them: 20.0, 100.01.
create function taxisvc.kilometres(hundredths bigint) returns numeric
    language sql immutable parallel safe
    return round(hundredths / 100.0, case when hundredths % 10 = 0 then 1 else 2 end);

create function taxisvc.call_payload(c taxisvc.call) returns json
    language sql stable parallel safe
    return json_build_object('callId', c.call_id, 'userId', c.user_id, 'userName', c.user_name,
        'callStatus', c.status, 'distance', taxisvc.kilometres(c.distance));

create function taxisvc.drive_payload(d taxisvc.drive) returns json
    language sql stable parallel safe
    return json_build_object('driveId', d.drive_id, 'driverName', d.driver_name,
        'callId', d.call_id, 'driveStatus', d.status, 'taxiNum', d.taxi_num);
