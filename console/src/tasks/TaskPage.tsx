// One task, with its log.
import { Button, PageSection } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { taskLogQuery, taskQuery } from '../api/queries';
import type { TaskLogEntry } from '../api/wire';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { TaskStateLabel } from '../parts/StateLabel';
import { exactly } from '../show/time';
import { words } from '../words';
import { TaskDetail } from './TaskDetail';
import { TaskOutput } from './TaskOutput';

const { tasks: say } = words;

export function TaskPage() {
  const { id } = useParams({ from: '/signed-in/framed/tasks/$id' });
  const task = useQuery(taskQuery(id));
  return (
    <Reading of={task}>
      {(shown) => (
        <>
          <PageTop
            title={shown.title}
            beside={<TaskStateLabel state={shown.state} />}
            above={[{ label: say.title, to: '/tasks' }]}
          />
          <PageSection isFilled>
            <TaskDetail task={shown} whole />
            <TaskOutput id={id} />
            <TaskLog id={id} updated={shown.updated_at} />
          </PageSection>
        </>
      )}
    </Reading>
  );
}

function TaskLog({ id, updated }: { id: string; updated: string }) {
  const base = taskLogQuery(id);
  // Another moment of the task is another log; the old one is shown until the new one is there.
  const log = useQuery({ ...base, queryKey: [...base.queryKey, updated], placeholderData: (old) => old });
  return (
    <section className="task-log" aria-labelledby="log-title">
      <div className="section-top">
        <h2 id="log-title">{say.log}</h2>
        {log.data && (
          <Button variant="link" isInline onClick={() => download(id, log.data)}>
            {say.downloadLog}
          </Button>
        )}
      </div>
      <Reading of={log}>
        {(entries) => (
          <ol className="log">
            {entries.map((entry) => (
              <li key={entry.seq}>
                <time dateTime={entry.at}>{exactly(entry.at)}</time>
                <code>{sentence(entry)}</code>
              </li>
            ))}
          </ol>
        )}
      </Reading>
    </section>
  );
}

/** An event on one line: its name, its step, then what else it says. */
function sentence(entry: TaskLogEntry): string {
  const { event, step, ...rest } = entry.event as Record<string, unknown>;
  const more = Object.entries(rest)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [event, step, ...more].filter(Boolean).join('  ');
}

function download(id: string, entries: TaskLogEntry[]) {
  const lines = entries.map((entry) => JSON.stringify(entry)).join('\n');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([lines, '\n'], { type: 'application/x-ndjson' }));
  link.download = `task-${id}.jsonl`;
  link.click();
  URL.revokeObjectURL(link.href);
}
