// How far the step that runs now is: a bar, bytes, rate, time left.
import { Progress, ProgressSize } from '@patternfly/react-core';
import type { Task } from '../api/wire';
import { bytes } from '../show/bytes';
import { span } from '../show/time';
import { words } from '../words';

const { tasks: say } = words;

export function TaskProgress({ task, compact = false }: { task: Task; compact?: boolean }) {
  const { progress } = task;
  if (!progress || task.state !== 'running') return null;
  const { done_bytes: done, total_bytes: total, rate_bytes: rate, eta_seconds: left } = progress;
  const facts = [
    total ? say.bytesOf(bytes(done), bytes(total)) : bytes(done),
    rate && say.rate(bytes(rate)),
    left !== null && left !== undefined && say.left(span(left)),
  ].filter(Boolean);
  return (
    <div className={compact ? 'progress progress-compact' : 'progress'}>
      {total ? (
        <Progress
          aria-label={say.progress(task.title)}
          size={ProgressSize.sm}
          value={Math.min(100, Math.floor((100 * done) / total))}
        />
      ) : null}
      {!compact && <p className="quiet">{facts.join(' · ')}</p>}
    </div>
  );
}
