// A script in the place of a person, and when it does the work: what the wizard asks for it. Pure.
import type { AddVersion, NewSchedule, ScheduledVersion, Unattended } from '../api/wire';

export interface ScriptDraft {
  /** Whether a script does the work. */
  byScript: boolean;
  scriptName: string;
  scriptText: string;
  /** Uploads that lie beside the script. */
  scriptFiles: { id: string; name: string }[];
  onFailure: Unattended['on_failure'];
  timeLimit: string;
  /** Whether a schedule does it, again and again. */
  repeat: boolean;
  schedule: string;
  when: string;
  timeZone: string;
}

export const NO_SCRIPT: ScriptDraft = {
  byScript: false,
  scriptName: 'setup.sh',
  scriptText: '',
  scriptFiles: [],
  onFailure: 'keep',
  timeLimit: '',
  repeat: false,
  schedule: '',
  when: 'every second tuesday 22:00',
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
};

/** The part of a request that says it; nothing where a person does the work. */
export function unattendedOf(draft: ScriptDraft): Unattended | undefined {
  if (!draft.byScript) return undefined;
  return {
    script: { name: draft.scriptName, text: draft.scriptText },
    upload_ids: draft.scriptFiles.map(({ id }) => id),
    on_failure: draft.onFailure,
    time_limit_minutes: draft.timeLimit === '' ? undefined : Number(draft.timeLimit),
  };
}

/** What a schedule asks for, of the version that would be made now and its script. */
export function scheduleOf(draft: ScriptDraft, id: string, layer: string, made: AddVersion, script: Unattended): NewSchedule {
  const version: ScheduledVersion = {
    name: made.name,
    description: made.description,
    max_layer_size_gib: made.max_layer_size_gib,
    os_version_id: made.os_version_id,
    prerequisite_version_ids: made.prerequisite_version_ids,
    connector_id: made.connector_id,
    platform_version_id: made.platform_version_id,
    packaging_disk: made.packaging_disk,
    unattended: script,
  };
  return {
    id,
    name: draft.schedule,
    when: draft.when,
    time_zone: draft.timeZone,
    enabled: true,
    layer_id: layer,
    version,
    comment: made.comment,
  };
}
