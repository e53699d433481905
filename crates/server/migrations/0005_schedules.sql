-- Schedules: versions that scripts make by themselves. `timetable` is in the words of crates/server/src/timetable.rs, in `time_zone`;
-- `version` what the versions are made of, JSON; `files_id` names the folder with the files that lie beside the script.
-- `next_run_at` is empty while it is disabled. What became of the last run: `last_at` when it was due, `last_text` why it was not begun,
-- if so; else the version that it makes, whose task tells the rest.
CREATE TABLE schedules (
    id              TEXT    NOT NULL PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    timetable       TEXT    NOT NULL,
    time_zone       TEXT    NOT NULL,
    enabled         BOOLEAN NOT NULL,
    layer_id        TEXT    NOT NULL REFERENCES layers (id),
    version         TEXT    NOT NULL,
    files_id        TEXT    NOT NULL,
    next_run_at     TEXT,
    last_at         TEXT,
    last_version_id TEXT,
    last_text       TEXT,
    created_by      TEXT    NOT NULL,
    created_at      TEXT    NOT NULL,
    updated_at      TEXT    NOT NULL
);
