// One task in a list: a line, and its details when it is expanded.
import { Button } from '@patternfly/react-core';
import AngleRightIcon from '@patternfly/react-icons/dist/esm/icons/angle-right-icon';
import { useState } from 'react';
import type { Task } from '../api/wire';
import { TaskStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { words } from '../words';
import { TaskDetail } from './TaskDetail';
import { TaskProgress } from './TaskProgress';

interface Props {
  task: Task;
  startsOpen?: boolean;
}

export function TaskRow({ task, startsOpen = false }: Props) {
  const [chosen, setChosen] = useState<boolean>();
  const open = chosen ?? startsOpen;
  return (
    <div className={open ? 'task task-open' : 'task'}>
      {/* The button does the same by keyboard; a click anywhere on the line is a convenience. */}
      {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions */}
      <div className="task-line" onClick={() => setChosen(!open)}>
        <Button
          variant="plain"
          size="sm"
          className="task-toggle"
          aria-expanded={open}
          aria-label={words.tasks.show(task.title)}
          icon={<AngleRightIcon />}
          onClick={(event) => {
            event.stopPropagation();
            setChosen(!open);
          }}
        />
        <TaskStateLabel state={task.state} />
        <span className="task-title">{task.title}</span>
        <TaskProgress task={task} compact />
        <span className="quiet task-by">{task.created_by}</span>
        <span className="quiet task-when">
          <When at={task.finished_at ?? task.updated_at} />
        </span>
      </div>
      {open && <TaskDetail task={task} />}
    </div>
  );
}
