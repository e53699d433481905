// What a person says of an image template, and the requests that it becomes.
import type { EditTemplate, ExportFormat, NewTemplate, Template } from '../api/wire';

/** Versions by their layers. */
type Chosen = Record<string, string>;

export interface TemplateDraft {
  name: string;
  description: string;
  /** One, or none yet. */
  os: Chosen;
  apps: Chosen;
  /** One at most. */
  platform: Chosen;
  connector: string;
  file: string;
  format: ExportFormat | '';
  size: string;
  generalize: NonNullable<NewTemplate['generalize']>;
  comment: string;
}

export const EMPTY: TemplateDraft = {
  name: '',
  description: '',
  os: {},
  apps: {},
  platform: {},
  connector: '',
  file: '',
  format: '',
  size: '',
  generalize: 'none',
  comment: '',
};

/** The draft that a template's own edit begins with. */
export function draftOf({ os, apps, platform, disk, ...template }: Template): TemplateDraft {
  return {
    name: template.name,
    description: template.description,
    os: { [os.layer_id]: os.version_id },
    apps: Object.fromEntries(apps.map((app) => [app.layer_id, app.version_id])),
    platform: platform ? { [platform.layer_id]: platform.version_id } : {},
    connector: template.connector_id ?? '',
    file: disk.file_name ?? '',
    format: disk.format ?? '',
    size: disk.size_gib ? String(disk.size_gib) : '',
    generalize: template.generalize,
    comment: '',
  };
}

/** What a request says of the template. What was left empty is left out. */
function said(draft: TemplateDraft) {
  return {
    name: draft.name,
    description: draft.description,
    os_version_id: Object.values(draft.os)[0] ?? '',
    app_version_ids: Object.values(draft.apps),
    platform_version_id: Object.values(draft.platform)[0],
    connector_id: draft.connector || undefined,
    disk: {
      file_name: draft.file || undefined,
      format: draft.format || undefined,
      size_gib: draft.size === '' ? undefined : Number(draft.size),
    },
    generalize: draft.generalize,
    comment: draft.comment,
  };
}

/** The request that makes the template. */
export function creation(draft: TemplateDraft, id: string): NewTemplate {
  return { id, ...said(draft) };
}

/** The request that changes it: what was taken out is told. */
export function change(draft: TemplateDraft): EditTemplate {
  const all = said(draft);
  return {
    ...all,
    platform_version_id: all.platform_version_id ?? null,
    connector_id: all.connector_id ?? null,
  };
}
