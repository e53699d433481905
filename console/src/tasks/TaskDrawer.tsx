// The task bar at the bottom of every page: what needs a person, what runs, what has ended lately.
import { Button } from '@patternfly/react-core';
import AngleDownIcon from '@patternfly/react-icons/dist/esm/icons/angle-down-icon';
import AngleUpIcon from '@patternfly/react-icons/dist/esm/icons/angle-up-icon';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useRef, type CSSProperties } from 'react';
import { tasksQuery } from '../api/queries';
import type { Task } from '../api/wire';
import { LinkButton } from '../parts/LinkButton';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ResizeHandle } from './ResizeHandle';
import { TaskRow } from './TaskRow';
import { USUAL_HEIGHT, type Drawer } from './useDrawer';

const { tasks: say } = words;

export function TaskDrawer({ drawer }: { drawer: Drawer }) {
  const open = useInfiniteQuery(tasksQuery({ state: 'open' }));
  const openTasks = open.data?.pages.flatMap((page) => page.items) ?? [];
  const needing = openTasks.filter((task) => task.state === 'action_required' || task.state === 'stuck');
  useShownOnce(open.data && openTasks, drawer);
  return (
    <section
      className={drawer.open ? 'task-bar task-bar-open' : 'task-bar'}
      aria-label={say.bar}
      style={drawer.open ? size(drawer) : undefined}
    >
      {drawer.open && <ResizeHandle drawer={drawer} />}
      <div className="task-bar-top">
        <Button
          variant="plain"
          className="task-bar-toggle"
          aria-expanded={drawer.open}
          title={drawer.open ? say.close : say.open}
          icon={drawer.open ? <AngleDownIcon /> : <AngleUpIcon />}
          onClick={drawer.toggle}
        >
          <strong>{say.title}</strong>
          <span className="task-bar-summary">
            {needing.length > 0 && <span className="count count-needs">{say.required(needing.length)}</span>}
            {openTasks.length > needing.length && (
              <span className="count count-running">{say.running(openTasks.length - needing.length)}</span>
            )}
            {openTasks.length === 0 && <span className="quiet">{say.quiet}</span>}
          </span>
        </Button>
        {drawer.open && (
          <LinkButton variant="link" to="/tasks">
            {say.all}
          </LinkButton>
        )}
      </div>
      {drawer.open && <DrawerList />}
    </section>
  );
}

/** As high as the person made it; until then no higher than what it shows. */
function size({ height }: Drawer): CSSProperties {
  return height === undefined ? { maxHeight: USUAL_HEIGHT } : { height };
}

/** Opens the bar when a task begins while the page is open. What ran before is left as the person had it. */
function useShownOnce(openTasks: Task[] | undefined, drawer: Drawer) {
  const known = useRef<Set<string>>(undefined);
  const { show } = drawer;
  const ids = openTasks?.map((task) => task.id).join(' ');
  useEffect(() => {
    if (ids === undefined) return;
    const now = new Set(ids === '' ? [] : ids.split(' '));
    const fresh = known.current !== undefined && [...now].some((id) => !known.current?.has(id));
    known.current = now;
    if (fresh && window.innerWidth > 768) show();
  }, [ids, show]);
}

function DrawerList() {
  const recent = useInfiniteQuery(tasksQuery({}));
  const open = useInfiniteQuery(tasksQuery({ state: 'open' }));
  return (
    <div className="task-bar-list">
      <Reading of={recent}>
        {({ pages }) => {
          // The first page is enough here; `All tasks` has the rest.
          const lately = [...(open.data?.pages ?? []), ...pages.slice(0, 1)];
          const tasks = inOrder(lately.flatMap((page) => page.items));
          if (tasks.length === 0) return <p className="quiet task-bar-nothing">{say.nothingText}</p>;
          return (
            <ul>
              {tasks.map((task) => (
                <li key={task.id}>
                  <TaskRow task={task} startsOpen={task.state === 'action_required'} />
                </li>
              ))}
            </ul>
          );
        }}
      </Reading>
    </div>
  );
}

const FIRST: Task['state'][] = ['action_required', 'stuck', 'running', 'canceling', 'pending'];

/** What needs a person on top, then what runs, then the rest, newest first. */
function inOrder(tasks: Task[]): Task[] {
  const rank = (task: Task) => (FIRST.includes(task.state) ? FIRST.indexOf(task.state) : FIRST.length);
  const once = new Map(tasks.map((task) => [task.id, task]));
  return [...once.values()].sort((a, b) => rank(a) - rank(b) || b.created_at.localeCompare(a.created_at));
}
