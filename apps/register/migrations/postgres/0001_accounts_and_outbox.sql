-- Times are milliseconds since 1970, by the clock of the database, so that the clocks of the service's copies need not agree.

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    address       text NOT NULL,         -- as it was typed
    address_key   text NOT NULL UNIQUE,  -- what tells it from others
    password_hash text,                  -- none until it is activated
    created_at    bigint NOT NULL,
    activated_at  bigint,
    next_mail_at  bigint NOT NULL        -- the next mail is not due before
);

-- A registration. A repeated one is one of its own, with a password of its own.
CREATE TABLE requests (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id),
    password_hash text,  -- none once one of the user's requests has been activated
    created_at    bigint NOT NULL
);
CREATE INDEX requests_of_user ON requests (user_id);

-- The link in a mail. Whoever has the token can activate the request.
CREATE TABLE tokens (
    digest     bytea PRIMARY KEY,  -- SHA-256; the token itself is in the mail only
    request_id uuid NOT NULL REFERENCES requests (id),
    expires_at bigint NOT NULL
);
CREATE INDEX tokens_of_request ON tokens (request_id);

-- A mail: one with a link to activate the request, or, if the user is active when it is sent, one that says so.
CREATE TABLE outbox (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id),
    request_id uuid REFERENCES requests (id),  -- none if the user was active already
    created_at bigint NOT NULL,
    due_at     bigint NOT NULL,                -- while it is being sent: the end of its sender's lease
    claim      uuid,                           -- who is sending it
    attempts   bigint NOT NULL DEFAULT 0,
    sent_at    bigint,
    message_id text,                           -- what SES calls it
    dead_at    bigint,                         -- SES refused it for good
    last_error text                            -- of which class the last failure was
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_of_user ON outbox (user_id);
CREATE INDEX outbox_of_request ON outbox (request_id);

-- How often an address was asked for, known or not: the time at which its allowance is whole again.
CREATE TABLE limits (
    key_digest bytea PRIMARY KEY,  -- SHA-256 of the address's key
    full_at    bigint NOT NULL
);
