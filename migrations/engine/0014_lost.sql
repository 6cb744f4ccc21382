-- How many workers were lost in the body of this run: it did not return, and the worker that waited
-- for it said so of itself before it was taken over.
alter table hansom.workflow add column lost smallint not null default 0;
