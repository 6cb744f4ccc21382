-- How many workers were lost in the body of this run, because it did not return.
alter table hansom.workflow add column lost smallint not null default 0;
