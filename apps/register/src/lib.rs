//! A sign-up service: one HTTP session and one database pool, opened before it serves and closed after.
