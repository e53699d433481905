// A task in full: what a person must do, steps, progress, what went wrong, and what can be done with it.
import { Alert } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import type { Task } from '../api/wire';
import { Facts } from '../parts/Facts';
import { LinkButton } from '../parts/LinkButton';
import { When } from '../parts/When';
import { span } from '../show/time';
import { words } from '../words';
import { NeedsPanel } from './NeedsPanel';
import { Steps } from './Steps';
import { TaskButtons } from './TaskButtons';
import { TaskProgress } from './TaskProgress';
import { TaskResult } from './TaskResult';

const { tasks: say } = words;

export function TaskDetail({ task, whole = false }: { task: Task; whole?: boolean }) {
  return (
    <div className={whole ? 'task-detail task-detail-whole' : 'task-detail'}>
      {task.needs && <NeedsPanel task={task} needs={task.needs} />}
      {task.error && (
        <Alert component="p" isInline variant="danger" title={say.error}>
          {task.error}
        </Alert>
      )}
      <TaskProgress task={task} />
      <div className="task-columns">
        <Steps steps={task.steps} />
        <div>
          <Facts
            facts={[
              [say.by, task.created_by],
              task.comment !== '' && [say.comment, task.comment],
              [say.began, <When key="began" at={task.created_at} />],
              [say.updated, <When key="updated" at={task.updated_at} />],
              lasted(task) !== undefined && [say.lasted, lasted(task)],
              Boolean(task.layer_id) && [say.layer, <LayerLink key="layer" task={task} />],
            ]}
          />
          <TaskResult task={task} />
        </div>
      </div>
      <div className="buttons">
        {!task.needs && <TaskButtons task={task} />}
        {!whole && (
          <LinkButton variant="link" to="/tasks/$id" params={{ id: task.id }}>
            {say.details}
          </LinkButton>
        )}
      </div>
    </div>
  );
}

function LayerLink({ task }: { task: Task }) {
  return (
    <Link to="/layers/$kind/$id" params={{ kind: 'any', id: task.layer_id! }} search={{ version: task.version_id ?? undefined }}>
      {say.showLayer}
    </Link>
  );
}

function lasted(task: Task): string | undefined {
  if (!task.finished_at) return undefined;
  return span((Date.parse(task.finished_at) - Date.parse(task.created_at)) / 1000);
}
