-- Platform and app layers, what they are made on, and what is made of them.

-- The OS layer that a platform or app layer belongs to.
ALTER TABLE layers ADD COLUMN os_layer_id TEXT;
-- Patterns of what is never in its versions, besides those of Shale (TOML).
ALTER TABLE layers ADD COLUMN exclusions TEXT NOT NULL DEFAULT '';

-- What the version's packaging machine had besides its base: the OS version below, the platform layer's version above, and
-- the versions of app layers that must be there first (a JSON list of ids).
ALTER TABLE versions ADD COLUMN os_version_id TEXT;
ALTER TABLE versions ADD COLUMN platform_version_id TEXT;
ALTER TABLE versions ADD COLUMN prerequisites TEXT NOT NULL DEFAULT '[]';

-- Every list asks which layers belong to others and which versions need others: few do.
CREATE INDEX layers_belonging ON layers (os_layer_id) WHERE os_layer_id IS NOT NULL;
CREATE INDEX versions_with_needs ON versions (id) WHERE prerequisites <> '[]';

-- Disks that were put together and are kept in the repository under this id, to be found again. The id follows from all that
-- the disk is made of; `parts` are the ids of the versions in it, the OS version first.
CREATE TABLE compositions (
    id         TEXT   NOT NULL PRIMARY KEY,
    parts      TEXT   NOT NULL,
    disk_size  BIGINT NOT NULL,
    created_at TEXT   NOT NULL,
    used_at    TEXT   NOT NULL
);

-- `app_versions` is a JSON list of ids, in no order: the layers' ages order them.
CREATE TABLE templates (
    id                  TEXT   NOT NULL PRIMARY KEY,
    name                TEXT   NOT NULL UNIQUE,
    description         TEXT   NOT NULL,
    os_version_id       TEXT   NOT NULL REFERENCES versions (id),
    platform_version_id TEXT REFERENCES versions (id),
    app_versions        TEXT   NOT NULL,
    connector_id        TEXT REFERENCES connectors (id),
    disk_name           TEXT   NOT NULL,
    format              TEXT   NOT NULL,
    disk_size           BIGINT NOT NULL,
    generalize          BOOLEAN NOT NULL,
    created_at          TEXT   NOT NULL,
    updated_at          TEXT   NOT NULL
);

-- Layered images: what templates became, as they were then. `template_id` may be of one that is gone. `parts` is a JSON list of
-- version ids and names, the OS version first; `report` what was found out, JSON. `path` is where on this host the disk was
-- written, if it was. The disk itself is in the repository, as `composition_id`.
CREATE TABLE images (
    id             TEXT   NOT NULL PRIMARY KEY,
    name           TEXT   NOT NULL UNIQUE,
    template_id    TEXT   NOT NULL,
    template_name  TEXT   NOT NULL,
    task_id        TEXT   NOT NULL,
    composition_id TEXT   NOT NULL,
    parts          TEXT   NOT NULL,
    format         TEXT   NOT NULL,
    path           TEXT,
    firmware       TEXT   NOT NULL,
    disk_size      BIGINT NOT NULL,
    state          TEXT   NOT NULL,
    report         TEXT   NOT NULL,
    created_at     TEXT   NOT NULL,
    updated_at     TEXT   NOT NULL
);
