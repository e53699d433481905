-- Who may ask: users, their sessions, tokens for programs. And the files that they send.

-- `key` is the name as it is compared: without regard to case. `password` is a PHC string (argon2id).
CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    key           TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password      TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    last_login_at TEXT
);

-- `digest` is the SHA-256 of the cookie's value: a copy of the catalog signs nobody in.
CREATE TABLE sessions (
    digest     TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id),
    created_at TEXT NOT NULL,
    seen_at    TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);

-- `digest` as above.
CREATE TABLE tokens (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    digest       TEXT NOT NULL UNIQUE,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    last_used_at TEXT
);

-- How much of it is there is the length of its file. `task_id` is the import that uses it.
CREATE TABLE uploads (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    created_at TEXT   NOT NULL,
    updated_at TEXT   NOT NULL,
    task_id    TEXT
);
