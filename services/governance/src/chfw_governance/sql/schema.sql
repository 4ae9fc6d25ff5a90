-- Governance: where each release stands, and the line of decisions that brought it there.

-- Where a release stands. Its row is the lock under which epochs are given; epoch 0 is the announcement.
create table release (
    release_id text primary key,
    version int not null,
    notified_at timestamptz not null,
    epoch int not null default 0 check (epoch >= 0),
    min_epoch int not null default 0 check (min_epoch <= epoch),
    mode text not null default 'held',
    mode_since timestamptz not null,
    automatic_date timestamptz not null,
    waves jsonb not null,
    paused_from text,
    confirmed boolean not null default false,
    cpl_active boolean not null
);

-- Every decision, one line of epochs per release: evidence, written once. The service has no right to change or delete it.
create table decision (
    release_id text not null references release,
    epoch int not null check (epoch > 0),
    min_epoch int not null check (min_epoch <= epoch),
    mode text not null,
    automatic_date timestamptz not null,
    waves jsonb not null,
    reason text not null,
    confirmed_by text,
    -- Why it runs although no hub of its pilot had come to an end.
    without_pilot text,
    decided_by text not null,
    decided_at timestamptz not null,
    primary key (release_id, epoch)
);

-- What became of a decision, once the scheduler has reported of it. Reports move the state on, never back.
create table decision_report (
    release_id text not null,
    epoch int not null,
    state text not null check (state in ('requested', 'fencing', 'effective')),
    at_risk int,
    reported_at timestamptz not null,
    primary key (release_id, epoch),
    foreign key (release_id, epoch) references decision
);

-- What was answered to which key of which Party: the same request gets the same answer.
create table answered_request (
    party text not null,
    key text not null,
    digest bytea not null,
    answer jsonb not null,
    constraint answered_once primary key (party, key)
);
