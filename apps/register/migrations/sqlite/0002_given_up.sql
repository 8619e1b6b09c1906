-- Those that were given up are few, and looked at again and again. `last_error` of one is the reason, in one line.
CREATE INDEX outbox_given_up ON outbox (dead_at) WHERE dead_at IS NOT NULL;
