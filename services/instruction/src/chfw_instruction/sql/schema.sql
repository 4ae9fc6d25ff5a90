-- Intake: what Parties have asked for, word by word, and the verdict of every entry.

-- A release as its notice states it, at the highest version seen. `pilot_places`: how many hubs each Party may name for
-- the pilot.
create table release (
    release_id text primary key,
    version int not null,
    image jsonb not null,
    cpl_active boolean not null,
    rule text not null,
    automatic_date timestamptz not null,
    waves jsonb not null,
    pilot_opens timestamptz not null,
    pilot_places jsonb not null
);

-- The decision in force on a release: the highest epoch seen. May be known before the release is.
create table decision (
    release_id text primary key,
    epoch int not null,
    mode text not null,
    automatic_date timestamptz not null,
    waves jsonb not null
);

-- Hubs that a release has ever held (distributing or later), armed or finished with, or for which a time was proposed, as
-- the ledger told it; other hubs have no row. `class` is rewritten only when it changes, so most progress of a hub writes
-- nothing. `shown`: each time that was proposed, with each Party that it was shown to.
create table hub_standing (
    hub bigint not null,
    release_id text not null,
    version bigint not null,
    class text not null check (class in ('open', 'holds', 'armed', 'final')),
    shown jsonb not null default '[]',
    primary key (hub, release_id)
) with (fillfactor = 70);

-- One line of acceptance per Party: its row is the lock under which party_seq is given and entries are counted.
-- `day` (UTC) is that of the last request, `entries_on_day` what the Party has sent in it; `standing` is what had not
-- flowed off at `standing_at` (machine time).
create table party (
    party text primary key,
    last_seq bigint not null check (last_seq >= 0),
    day date,
    entries_on_day bigint not null default 0,
    standing double precision not null default 0,
    standing_at timestamptz
);

-- An accepted request. The id is uuid5 of Party and key; what the release lays down is as it was at received_at.
-- A CSV file keeps its header; its rows stand in the chunks. Every key contains the Party, or a Party could learn from a
-- collision that another has something.
create table request (
    id uuid not null,
    party text not null references party,
    key text not null,
    digest bytea not null,
    user_id text not null,
    party_seq bigint not null,
    release_id text not null references release,
    kind text not null check (kind in ('instruct', 'agree', 'decline', 'withdraw')),
    "group" text not null check ("group" in ('pilot', 'safe_launch')),
    activate_at timestamptz,
    received_at timestamptz not null,
    entries int not null check (entries > 0),
    header text[],
    image jsonb not null,
    automatic_date timestamptz not null,
    waves jsonb not null,
    pilot_opens timestamptz not null,
    pilot_places int not null,
    answered int not null default 0 check (answered <= entries),
    counts jsonb not null default '{}',
    done_at timestamptz,
    primary key (id, party),
    constraint request_once_per_key unique (party, key),
    constraint request_in_one_line unique (party, party_seq)
);
create index request_open on request (party, party_seq) where done_at is null;

-- The content of a request, once, in the order in which it was listed: `raw` is what was written, a line an entry;
-- a malformed entry has no hub; `duplicates` are places in the chunk from 0 on; `record` are the rows of a CSV file.
-- The verdicts, one an entry, are written once and never changed. What is long stays out of the row: to add the
-- verdicts copies none of it.
create table request_chunk (
    request_id uuid not null,
    party text not null,
    chunk int not null,
    raw text not null,
    hub bigint[] not null,
    duplicates int[] not null,
    record text[],
    verdict text[] check (cardinality(verdict) = cardinality(hub)),
    primary key (request_id, chunk, party),
    foreign key (request_id, party) references request (id, party)
);
alter table request_chunk alter column raw set storage external, alter column hub set storage external;

-- The entries of a chunk. To take an empty text apart gives no entry, and a chunk of one empty entry is an empty text.
create function entries_of(raw text) returns text[] language sql immutable parallel safe as $$
    select case when raw = '' then array[''] else string_to_array(raw, e'\n') end
$$;

-- One row an entry, for people and reports.
create view verdict as
select c.request_id, c.chunk * 10000 + (n.n - 1)::int as pos, n.raw, n.hub, n.verdict
from request_chunk c
cross join lateral unnest(entries_of(c.raw), c.hub, c.verdict) with ordinality n(raw, hub, verdict, n)
where c.verdict is not null;

-- The pilot of each release: which Party's accepted list names which hub. Each row takes one place of its Party.
create table pilot_hub (
    release_id text not null references release,
    hub bigint not null,
    party text not null references party,
    primary key (release_id, hub, party)
);

-- Which hubs are in the pilot of a release, and by whose list: a Party may be told of its own only.
create view instruction_published.pilot_hub as select release_id, hub, party from pilot_hub;
