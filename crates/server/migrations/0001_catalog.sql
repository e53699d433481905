-- The catalog: what there is, and what has happened to it. Times are RFC 3339 UTC text, ids UUID text, sizes bytes.
-- Kept to SQL that PostgreSQL takes too, so that a site with several servers needs no second model.

CREATE TABLE layers (
    id          TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    UNIQUE (kind, name)
);

CREATE TABLE connectors (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    settings    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
);

CREATE TABLE versions (
    id              TEXT   NOT NULL PRIMARY KEY,
    layer_id        TEXT   NOT NULL REFERENCES layers (id),
    name            TEXT   NOT NULL,
    description     TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    base_version_id TEXT,
    connector_id    TEXT REFERENCES connectors (id),
    machine_name    TEXT,
    firmware        TEXT   NOT NULL,
    virtual_bytes   BIGINT NOT NULL,
    logical_bytes   BIGINT,
    added_bytes     BIGINT,
    digest          TEXT,
    created_at      TEXT   NOT NULL,
    updated_at      TEXT   NOT NULL,
    UNIQUE (layer_id, name)
);

-- `request` is the body that asked for it: a repeated request with the same ids and the same body is the same request.
-- `ending` stays NULL while the task is open; whether it runs is never stored.
CREATE TABLE tasks (
    id          TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL,
    layer_id    TEXT,
    version_id  TEXT,
    input       TEXT NOT NULL,
    request     TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    comment     TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    ending      TEXT,
    error       TEXT,
    finished_at TEXT
);
CREATE INDEX tasks_open ON tasks (ending) WHERE ending IS NULL;
CREATE INDEX tasks_by_layer ON tasks (layer_id);
CREATE INDEX tasks_by_version ON tasks (version_id);

CREATE TABLE task_events (
    task_id TEXT   NOT NULL REFERENCES tasks (id),
    seq     BIGINT NOT NULL,
    at      TEXT   NOT NULL,
    event   TEXT   NOT NULL,
    PRIMARY KEY (task_id, seq)
);

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    who         TEXT NOT NULL,
    action      TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    object_name TEXT NOT NULL,
    comment     TEXT NOT NULL
);
