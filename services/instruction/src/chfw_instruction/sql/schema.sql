-- Intake: what Parties have asked for, word by word, and the verdict of every entry.

-- A release as its notice states it, at the highest version seen.
create table release (
    release_id text primary key,
    version int not null,
    image jsonb not null,
    cpl_active boolean not null,
    rule text not null,
    automatic_date timestamptz not null
);

-- The decision in force on a release: the highest epoch seen. May be known before the release is.
create table decision (
    release_id text primary key,
    epoch int not null,
    mode text not null,
    automatic_date timestamptz not null
);

-- One line of acceptance per Party: its row is the lock under which party_seq is given.
create table party (
    party text primary key,
    last_seq bigint not null check (last_seq >= 0)
);

-- An accepted request. The id is uuid5 of Party and key; image and automatic_date are those at received_at.
create table request (
    id uuid primary key,
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
    image jsonb not null,
    automatic_date timestamptz not null,
    answered int not null default 0 check (answered <= entries),
    counts jsonb not null default '{}',
    done_at timestamptz,
    constraint request_once_per_key unique (party, key),
    constraint request_in_one_line unique (party, party_seq)
);

-- The content of a request, once, in the order in which it was listed. A malformed entry has no hub.
create table request_chunk (
    request_id uuid not null references request,
    chunk int not null,
    raw text[] not null,
    hub bigint[] not null,
    duplicate boolean[] not null,
    primary key (request_id, chunk)
);

-- One verdict per entry, written once and never changed.
create table verdict (
    request_id uuid not null,
    pos int not null,
    raw text not null,
    hub bigint,
    verdict text not null,
    primary key (request_id, pos)
);
