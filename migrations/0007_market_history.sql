-- Who made a market version, and how much it changed against the one before; null where that was not counted.

alter table market_versions
    add column made_by text not null default '',
    add column added   integer,
    add column changed integer,
    add column removed integer;
