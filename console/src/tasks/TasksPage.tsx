// All tasks there ever were, newest first: by state, page by page, only those in sight are drawn.
import { PageSection, ToggleGroup, ToggleGroupItem } from '@patternfly/react-core';
import ListIcon from '@patternfly/react-icons/dist/esm/icons/list-icon';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { layerQuery, tasksQuery } from '../api/queries';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { VirtualList } from '../parts/VirtualList';
import { words } from '../words';
import { TaskRow } from './TaskRow';

const { tasks: say } = words;
const ROW = 48;

export function TasksPage() {
  const { state = '', layer } = useSearch({ from: '/signed-in/framed/tasks' });
  const navigate = useNavigate();
  const tasks = useInfiniteQuery(tasksQuery({ state: state || undefined, layer_id: layer }));
  const choose = (next: string) =>
    void navigate({ to: '/tasks', search: { state: next || undefined, layer }, replace: true });
  return (
    <>
      <PageTop title={say.title} lead={say.lead} />
      <PageSection isFilled className="list-section">
        <div className="filters">
          <ToggleGroup aria-label={say.filter} className="wrapping-toggles">
            {Object.entries(say.filters).map(([value, label]) => (
              <ToggleGroupItem
                key={value}
                text={label}
                buttonId={`state-${value || 'all'}`}
                isSelected={state === value}
                onChange={() => choose(value)}
              />
            ))}
          </ToggleGroup>
          {layer && <OneLayer id={layer} state={state} />}
        </div>
        <Reading of={tasks}>
          {({ pages }) => {
            const items = pages.flatMap((page) => page.items);
            if (items.length === 0) return <NoTasks filtered={state !== '' || layer !== undefined} />;
            return (
              <VirtualList
                items={items}
                row={ROW}
                label={say.title}
                keyOf={(task) => task.id}
                more={tasks.hasNextPage && !tasks.isFetchingNextPage ? () => void tasks.fetchNextPage() : undefined}
              >
                {(task) => <TaskRow task={task} />}
              </VirtualList>
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function OneLayer({ id, state }: { id: string; state: string }) {
  const { data } = useQuery(layerQuery(id));
  return (
    <span>
      {data && say.ofLayer(data.name)}{' '}
      <LinkButton variant="link" isInline to="/tasks" search={{ state: state || undefined, layer: undefined }}>
        {say.anyLayer}
      </LinkButton>
    </span>
  );
}

function NoTasks({ filtered }: { filtered: boolean }) {
  if (filtered) return <Nothing title={say.nothingFound} text={say.nothingFoundText} />;
  return (
    <Nothing icon={ListIcon} title={say.nothing} text={say.nothingText}>
      <LinkButton to="/create-os-layer">{words.layers.create.os}</LinkButton>
    </Nothing>
  );
}
