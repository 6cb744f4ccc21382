-- The services of move24mall: mover, movemanage, moveassign. They would be three databases anywhere
-- else, so nothing here refers across them but by order_id.
--
-- What is written for an order belongs to the run of the workflow that wrote it first; no other
-- run changes it, or is answered with it. A row without a tel, or without a plate, is a
-- tombstone: it was cancelled before it came, and never comes.
--
-- Statuses are the words of the documents' protocol. Money is in whole Korean won.

create schema move;

create sequence move.order_id;

create table move.mover (
    order_id  bigint primary key,
    run       text not null,
    tel       text,
    location  text,
    cost      bigint check (cost >= 0),
    move_type text check (move_type in ('포장', '반포장')),
    status    text not null check (status in ('호출', '호출확정', '호출취소')),
    check (tel is not null or status = '호출취소')
);

create table move.movermanage (
    order_id   bigint primary key,
    run        text not null,
    tel        text,
    location   text,
    cost       bigint check (cost >= 0),
    status     text not null check (status in ('호출중', '호출확정', '호출요청취소됨')),
    plate      text,
    mover      text,
    mover_tel  text,
    check (tel is not null or status = '호출요청취소됨')
);

-- The pool. Any of them takes any number of orders, as in the documents.
create table move.pool (
    plate     text primary key,
    mover     text not null,
    mover_tel text not null
);

insert into move.pool (mover, mover_tel, plate) values
    ('백영곤', '010-2345-6789', '34가4567'),
    ('안채우', '010-3345-7789', '44나4567'),
    ('임광현', '010-4345-8789', '54다4567'),
    ('장윤정', '010-5345-9789', '64라4567'),
    ('옥준삼', '010-6345-0789', '74마4567'),
    ('유승오', '010-7345-1789', '84사4567');

create table move.moverassign (
    order_id  bigint primary key,
    run       text not null,
    status    text not null check (status in ('할당확정', '할당취소')),
    plate     text,
    mover     text,
    mover_tel text,
    check (plate is not null or status = '할당취소')
);
