// Home: what needs a person now, what was found on this server, and what to do next.
import { Button, Card, CardBody, CardHeader, CardTitle, PageSection } from '@patternfly/react-core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { doctorQuery, repositoryQuery, tasksQuery } from '../api/queries';
import type { Task } from '../api/wire';
import { CheckLines } from '../parts/CheckLines';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { bytes } from '../show/bytes';
import { TaskRow } from '../tasks/TaskRow';
import { words } from '../words';
import { NextSteps } from './NextSteps';

const { home: say } = words;

export function HomePage() {
  return (
    <>
      <PageTop title={say.title} />
      <PageSection isFilled className="home">
        <NeedsNow />
        <NextSteps />
        <Found />
      </PageSection>
    </>
  );
}

function NeedsNow() {
  const open = useInfiniteQuery(tasksQuery({ state: 'open' }));
  const tasks = open.data?.pages.flatMap((page) => page.items).filter(needsSomebody) ?? [];
  return (
    <Card isCompact className="home-needs">
      <CardTitle component="h2">{say.needs}</CardTitle>
      <CardBody>
        {tasks.length === 0 && <p className="quiet">{say.needsNothing}</p>}
        <ul>
          {tasks.map((task) => (
            <li key={task.id}>
              <TaskRow task={task} startsOpen={tasks.length === 1} />
            </li>
          ))}
        </ul>
      </CardBody>
    </Card>
  );
}

function needsSomebody({ state }: Task): boolean {
  return state === 'action_required' || state === 'stuck';
}

function Found() {
  const doctor = useQuery(doctorQuery);
  const { data: repository } = useQuery(repositoryQuery);
  return (
    <Card isCompact>
      <CardHeader
        actions={{
          actions: (
            <Button variant="link" isInline isLoading={doctor.isFetching} onClick={() => void doctor.refetch()}>
              {say.checkAgain}
            </Button>
          ),
        }}
      >
        <CardTitle component="h2">{say.found}</CardTitle>
      </CardHeader>
      <CardBody>
        {repository && (
          <CheckLines
            checks={[
              {
                name: say.repository,
                outcome: 'ok',
                detail: [
                  repository.place,
                  say.free(bytes(repository.free_bytes)),
                  say.holds(bytes(repository.stored_bytes), repository.versions.length),
                ].join(' · '),
              },
            ]}
          />
        )}
        <Reading of={doctor}>{({ checks }) => <CheckLines checks={checks} />}</Reading>
      </CardBody>
    </Card>
  );
}
