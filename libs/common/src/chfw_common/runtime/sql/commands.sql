-- name: act_for_party
-- From here to the end of the transaction, act as the role $1, for Party $3 (the setting $2): row security applies.
select set_config('role', $1, true), set_config($2, $3, true);

-- name: act_as_the_service
-- The work for the Party is done: the rest of the transaction is the service's own, and for no Party (the setting $1).
select set_config('role', 'none', true), set_config($1, '', true);
