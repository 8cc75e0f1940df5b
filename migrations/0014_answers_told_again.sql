-- Whether a post's stored answer was told to a repeat: then what was told stands, also where the first request was
-- answered as if nothing had been stored.
alter table posts add column retold boolean not null default false;
