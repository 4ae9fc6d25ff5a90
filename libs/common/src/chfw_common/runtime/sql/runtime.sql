-- What the runtime keeps in every service's own schema: positions, outbox, parked records, jobs.

-- The position of this service in each partition it reads: the only one that counts (Kafka's is for lag tools).
-- `incarnation` counts the logs of a partition: 0, and one more each time a person has accepted another log, whose
-- offsets count something else.
create table consumer_offset (
    topic text not null,
    partition int not null,
    topic_id text not null,
    next bigint not null check (next >= 0),
    incarnation int not null default 0,
    primary key (topic, partition)
);

-- Evidence for the check of contiguity: every transaction's range [first, beyond). Evidence is written once: the service
-- has no right to change or delete it (access.toml).
create table consumed_range (
    topic text not null,
    partition int not null,
    incarnation int not null default 0,
    first bigint not null,
    beyond bigint not null check (beyond > first),
    primary key (topic, partition, incarnation, first)
);

-- Which records of these ranges were parked; all others were applied. A row stays when the parked record is handed in
-- again or dropped: from then on an older word of the partition may come after a newer one.
create table parked_offset (
    topic text not null,
    partition int not null,
    incarnation int not null,
    "offset" bigint not null,
    primary key (topic, partition, incarnation, "offset")
);

-- Offsets [first, beyond) that were stepped over, because the log holds no record there or not any more: control
-- records of transactions (the service itself saw them), or what a person has decided. Evidence for the same check.
create table stepped_over (
    topic text not null,
    partition int not null,
    incarnation int not null,
    first bigint not null,
    beyond bigint not null check (beyond > first),
    kind text not null check (kind in ('control', 'decided')),
    reason text not null,
    decided_by text,
    at timestamptz not null,
    primary key (topic, partition, incarnation, first),
    check ((kind = 'decided') = (decided_by is not null))
);

-- Each decision of a person on a position that could not be read on: what it was, what it became, who, why.
create table position_decision (
    id bigint generated always as identity primary key,
    topic text not null,
    partition int not null,
    incarnation_before int not null,
    topic_id_before text not null,
    next_before bigint not null,
    incarnation_after int not null,
    topic_id_after text not null,
    next_after bigint not null,
    found text not null,
    reason text not null,
    decided_by text not null,
    decided_at timestamptz not null
);

-- How often handling has failed unexpectedly with this offset due; written outside the failed transaction.
create table consume_failure (
    topic text not null,
    partition int not null,
    next bigint not null,
    failures int not null,
    error text not null,
    primary key (topic, partition, next)
);

-- Records that cannot be handled, whole, until a person retries or drops them.
create table parked_record (
    id bigint generated always as identity primary key,
    topic text not null,
    partition int not null,
    incarnation int not null default 0,
    "offset" bigint not null,
    key bytea,
    value bytea,
    headers jsonb not null,
    kind text not null check (kind in ('invalid', 'unexpected')),
    error text not null,
    parked_at timestamptz not null,
    unique (topic, partition, incarnation, "offset")
);

-- Facts of which each release has one line (decisions by epoch, notices by version): the numbers that were taken, each
-- with a digest of what was said. One that is lost for good has been given up by a person, who said why.
create table line_taken (
    topic text not null,
    release_id text not null,
    number int not null check (number > 0),
    digest bytea,
    given_up_by text,
    given_up_because text,
    given_up_at timestamptz,
    primary key (topic, release_id, number),
    check ((digest is null) = (given_up_by is not null)),
    check (num_nulls(given_up_by, given_up_because, given_up_at) in (0, 3))
);

-- Records that came out of line, each for as long as it is parked. `due` is the number that was expected.
create table out_of_line (
    topic text not null,
    partition int not null,
    incarnation int not null,
    "offset" bigint not null,
    release_id text not null,
    number bigint not null,
    due int not null,
    primary key (topic, partition, incarnation, "offset"),
    foreign key (topic, partition, incarnation, "offset")
        references parked_record (topic, partition, incarnation, "offset")
        on delete cascade deferrable initially deferred
);
create index out_of_line_release on out_of_line (release_id);

-- Events of committed transactions that wait for the relay. Lane 0 is control traffic.
create table outbox (
    id bigint generated always as identity primary key,
    lane smallint not null,
    topic text not null,
    partition int not null,
    key bytea not null,
    event_id uuid not null,
    event_type text not null,
    event_time timestamptz not null,
    payload bytea not null,
    written_at timestamptz not null
);
-- Payloads live for a moment: to compress them would cost more than to write them.
alter table outbox alter column payload set storage external;
create index outbox_lane on outbox (lane, id);

-- Events that the broker refuses, whole, until a person sends them again or drops them. Later events of the key go on.
create table parked_event (
    id bigint generated always as identity primary key,
    lane smallint not null,
    topic text not null,
    partition int not null,
    key bytea not null,
    event_id uuid not null,
    event_type text not null,
    event_time timestamptz not null,
    payload bytea not null,
    written_at timestamptz not null,
    error text not null,
    parked_at timestamptz not null
);

-- Partitions that could not be written: the lane passes them by, and their events are tried apart from it.
create table held_partition (
    id bigint generated always as identity primary key,
    lane smallint not null,
    topic text not null,
    partition int not null,
    error text not null,
    refused boolean not null,
    tries int not null,
    held_at timestamptz not null,
    next_try_at timestamptz not null,
    unique (lane, topic, partition)
);

-- Counts the calls of each tick, so that the ids of the events of a call are its own.
create table tick_call (
    tick text primary key,
    calls bigint not null
);

-- Long work: a row with a cursor that the jobs tick advances. Queues take turns; in a queue the oldest job is next.
create table job (
    id bigint generated always as identity primary key,
    kind text not null,
    name text not null,
    queue text not null,
    args jsonb not null,
    cursor jsonb not null,
    state text not null check (state in ('open', 'done', 'set_aside')),
    steps int not null default 0,
    created_at timestamptz not null,
    done_at timestamptz,
    unique (kind, name)
);
create index job_open on job (queue, id) where state = 'open';

-- Turns of the queues of jobs, by start-time fair queueing: `begun` is the tag at which a queue began its last step,
-- `next` that tag and the cost of the step. The greatest `begun` is where all stand: a queue that was empty begins there.
create table job_turn (
    queue text primary key,
    begun bigint not null,
    next bigint not null
);

-- How many requests each Party may still send at once, as it was at `at` (machine time). Not logged: a request must not
-- wait for the disk because of it, and after a crash of Postgres every bucket is full.
create unlogged table request_bucket (
    party text primary key,
    tokens double precision not null,
    at timestamptz not null
) with (fillfactor = 50);

-- How often a tick has failed unexpectedly since it last succeeded; written outside the failed transaction.
create table tick_failure (
    tick text primary key,
    failures int not null,
    error text not null
);

-- Work that fails again and again and was put off, so that the rest of its tick goes on: a hub of a tick, a job. A person
-- mends the reason and asks for a retry.
create table set_aside (
    id bigint generated always as identity primary key,
    tick text not null,
    work jsonb not null,
    error text not null,
    set_aside_at timestamptz not null,
    retry boolean not null default false,
    unique (tick, work)
);

-- How the schema came to be: the baseline and each migration, with the checksum of its text.
create table schema_migration (
    number int primary key,
    name text not null,
    sha256 text not null
);

-- The audit log: who changed what, when, by which token and request, in the transaction of the change. Evidence: the service
-- may add to it, and nobody but the owner of the database can change it; what the owner changes, the chain of hashes shows
-- (docs/audit.md). `before` and `after` are JSON as it was hashed, so they are texts.
create table audit (
    stream text not null,
    seq bigint not null check (seq > 0),
    at timestamptz not null,
    party text not null,
    user_id text not null,
    role text not null,
    token text not null,
    request text not null,
    action text not null,
    subject text not null,
    before text,
    after text,
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    primary key (stream, seq)
);

-- Where the log of this schema ends. Its row is the lock under which records get their numbers: from within the commit on.
create table audit_head (
    stream text primary key,
    seq bigint not null check (seq >= 0),
    previous bytea not null,
    hash bytea not null
) with (fillfactor = 20);
insert into audit_head (stream, seq, previous, hash)
select current_schema(), 0, begins, begins from (select sha256(convert_to('chfw audit ' || current_schema(), 'UTF8'))) s(begins);

-- Records of this transaction that have no number yet. At the commit each gets the next one and goes into the log, so that
-- nobody waits for the end of the log while a client is asked anything. `digest` is that of the content.
create table audit_pending (
    id bigint generated always as identity primary key,
    stream text not null,
    digest bytea not null check (length(digest) = 32),
    at timestamptz not null,
    party text not null,
    user_id text not null,
    role text not null,
    token text not null,
    request text not null,
    action text not null,
    subject text not null,
    before text,
    after text
);
create function chain_audit() returns trigger language plpgsql set search_path from current as $$
begin
    -- The update waits for who writes the record before, and then sees it: numbers have no gaps, and the chain no forks.
    with moved as (
        update audit_head set seq = seq + 1, previous = hash, hash = sha256(hash || int8send(seq + 1) || new.digest)
        where stream = new.stream
        returning seq, previous, hash
    )
    insert into audit (stream, seq, at, party, user_id, role, token, request, action, subject, before, after, previous, hash)
    select new.stream, seq, new.at, new.party, new.user_id, new.role, new.token, new.request, new.action, new.subject,
           new.before, new.after, previous, hash
    from moved;
    if not found then
        raise exception 'there is no audit log %', new.stream;
    end if;
    delete from audit_pending where id = new.id;
    return null;
end $$;
create constraint trigger audit_is_chained after insert on audit_pending
deferrable initially deferred for each row execute function chain_audit();
