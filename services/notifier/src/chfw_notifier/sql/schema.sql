-- The notifier: releases as announced, the Parties, and what each of them was told.

-- A release: its notice, and the decision in force on it (highest epoch; 0 is the announcement). `decided` and `progressed`
-- are the last decision and the last totals as everybody was told them, each with the id of its event: who comes later is
-- told them as well, and not once more when the event comes again.
create table release (
    release_id text primary key,
    version int not null,
    notice jsonb not null,
    notified_at timestamptz not null,
    epoch int not null default 0,
    mode text not null default 'held',
    automatic_date timestamptz not null,
    waves jsonb not null,
    decided jsonb,
    decided_event uuid,
    progressed jsonb,
    progressed_event uuid,
    progressed_at timestamptz,
    check ((epoch = 0) = (decided is null) and (decided is null) = (decided_event is null)),
    check ((progressed is null) = (progressed_event is null) and (progressed is null) = (progressed_at is null))
);

-- Everybody who is told something. Its row is the lock under which the numbers of its feed are given.
create table party (
    party text primary key,
    role text not null check (role in ('supplier', 'CSP', 'DCC', 'PANEL')),
    last_seq bigint not null default 0 check (last_seq >= 0)
);

-- Who was given the notice of a release, and so is told how it goes.
create table release_party (
    release_id text not null references release,
    party text not null references party,
    primary key (release_id, party)
);

-- What a Party was told, in its own order without gaps. A repeat has the same event_id and is absorbed. The payload is
-- json, not jsonb: nobody looks inside, and it need not be taken apart to be stored. Rows are made under the lock of
-- their Party's row only, so no foreign key looks it up once more for each of them.
create table feed (
    party text not null,
    seq bigint not null check (seq > 0),
    event_id uuid not null,
    kind text not null,
    release_id text,
    at timestamptz not null,
    payload json not null,
    -- Bytes of the payload, so that a page can end before it grows too large.
    size int not null check (size > 0),
    primary key (party, seq),
    constraint feed_told_once unique (party, event_id)
);

-- What Parties are to be told when a quarter of an hour, or a day, is over: then it becomes rows of their feeds, which show
-- nothing of its causes. An empty release: it concerns none. `hubs` counts those in the payload. The payload is told from
-- the order of `id` in a partition.
create table gathered (
    id bigint generated always as identity primary key,
    due timestamptz not null,
    party text not null,
    release_id text not null,
    kind text not null,
    part smallint not null,
    hubs int not null check (hubs > 0),
    payload json not null
);
create index gathered_due on gathered (due, party, release_id, kind, part);

-- Events that were gathered: a repeat has the same id and is absorbed.
create table heard_event (
    event_id uuid primary key
);

-- Which former Suppliers know that their instruction lapsed: few, and told once, not at every later step of the hub.
create table lapse_told (
    release_id text not null,
    hub bigint not null,
    party text not null,
    primary key (release_id, hub, party)
);

-- What was answered to which key of which Party: the same request gets the same answer.
create table answered_request (
    party text not null,
    key text not null,
    digest bytea not null,
    answer jsonb not null,
    constraint answered_once primary key (party, key)
);

-- The spellings of reports: a hub id and an instant as kernel/ids.py and kernel/instants.py write them. One expression
-- each, so that Postgres writes them into the query; hyphens are put in one after the other, which a pattern does in
-- twice the time.
create function eui64(hub bigint) returns text language sql immutable strict parallel safe as $$
    select upper(overlay(overlay(overlay(overlay(overlay(overlay(overlay(encode(int8send(hub), 'hex')
        placing '-' from 15 for 0) placing '-' from 13 for 0) placing '-' from 11 for 0) placing '-' from 9 for 0)
        placing '-' from 7 for 0) placing '-' from 5 for 0) placing '-' from 3 for 0))
$$;
create function rfc3339(at timestamptz) returns text language sql stable strict parallel safe as $$
    select to_char(at at time zone 'UTC', case when date_trunc('second', at at time zone 'UTC') = at at time zone 'UTC'
                                               then 'YYYY-MM-DD"T"HH24:MI:SS"Z"' else 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' end)
$$;

-- Whether the time planned for a hub still means something: a release that was stopped or revoked activates no hub that is
-- not under a command already (`fires_at` is the time in the last one).
create function goes_on(mode text, state text, fires_at timestamptz) returns boolean
language sql immutable parallel safe as $$
    select mode not in ('stop', 'revoked') or (
        fires_at is not null and state not in ('eligible', 'awaiting_consent', 'scheduled', 'distributing', 'delivered',
                                               'delivery_failed', 'activation_failed', 'not_applied'))
$$;
