// The state of a version, a task or a machine, as a coloured word.
import { Label, type LabelProps } from '@patternfly/react-core';
import type { Image, Power, TaskState, Template, VersionState } from '../api/wire';
import { words } from '../words';

type Look = Pick<LabelProps, 'color' | 'status'>;

const VERSION: Record<VersionState, Look> = {
  editing: { color: 'blue' },
  finalizable: { status: 'warning' },
  finalizing: { color: 'blue' },
  deployable: { status: 'success' },
  broken: { status: 'danger' },
  deleting: { color: 'grey' },
};

const TASK: Record<TaskState, Look> = {
  pending: { color: 'grey' },
  running: { color: 'blue' },
  action_required: { status: 'warning' },
  canceling: { color: 'grey' },
  done: { status: 'success' },
  failed: { status: 'danger' },
  canceled: { color: 'grey' },
  stuck: { status: 'danger' },
};

const POWER: Record<Power, Look> = {
  running: { status: 'success' },
  off: { color: 'grey' },
  absent: { status: 'danger' },
  unknown: { status: 'warning' },
};

const TEMPLATE: Record<Template['state'], Look> = {
  publishable: { status: 'success' },
  not_publishable: { status: 'warning' },
};

const IMAGE: Record<Image['state'], Look> = {
  publishing: { color: 'blue' },
  published: { status: 'success' },
};

export function TemplateStateLabel({ state }: { state: Template['state'] }) {
  return (
    <Label isCompact {...TEMPLATE[state]}>
      {words.images.templateState[state]}
    </Label>
  );
}

export function ImageStateLabel({ state }: { state: Image['state'] }) {
  return (
    <Label isCompact {...IMAGE[state]}>
      {words.images.imageState[state]}
    </Label>
  );
}

export function VersionStateLabel({ state }: { state: VersionState }) {
  return (
    <Label isCompact {...VERSION[state]}>
      {words.layers.state[state]}
    </Label>
  );
}

export function TaskStateLabel({ state }: { state: TaskState }) {
  return (
    <Label isCompact {...TASK[state]}>
      {words.tasks.state[state]}
    </Label>
  );
}

export function PowerLabel({ power }: { power: Power }) {
  return (
    <Label isCompact {...POWER[power]}>
      {words.machines.power[power]}
    </Label>
  );
}
