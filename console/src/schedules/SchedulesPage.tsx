// Schedules: when each is due, what became of its last run, and its script.
import { ExpandableSection, Label, PageSection } from '@patternfly/react-core';
import CalendarIcon from '@patternfly/react-icons/dist/esm/icons/calendar-alt-icon';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { schedulesQuery } from '../api/queries';
import type { Schedule, ScheduleRun, Script, TaskState } from '../api/wire';
import { Facts } from '../parts/Facts';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { TaskStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { exactly } from '../show/time';
import { words } from '../words';
import { ScheduleMenu } from './ScheduleActions';

const { schedules: say } = words;

export function SchedulesPage() {
  const schedules = useQuery(schedulesQuery);
  return (
    <>
      <PageTop title={say.title} lead={say.lead} />
      <PageSection isFilled>
        <Reading of={schedules}>
          {(all) => (all.length > 0 ? <ScheduleTable schedules={all} /> : <NoSchedules />)}
        </Reading>
      </PageSection>
    </>
  );
}

function NoSchedules() {
  return (
    <Nothing icon={CalendarIcon} title={say.nothing} text={say.nothingText}>
      <LinkButton to="/layers/$kind" params={{ kind: 'os' }}>
        {say.toLayers}
      </LinkButton>
    </Nothing>
  );
}

function ScheduleTable({ schedules }: { schedules: Schedule[] }) {
  return (
    <table className="table" aria-label={say.title}>
      <thead>
        <tr>
          <th scope="col">{say.name}</th>
          <th scope="col">{say.layer}</th>
          <th scope="col">{say.when}</th>
          <th scope="col">{say.next}</th>
          <th scope="col">{say.last}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {schedules.map((schedule) => (
          <Row key={schedule.id} schedule={schedule} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ schedule }: { schedule: Schedule }) {
  return (
    <tr>
      <td data-label={say.name}>
        <ExpandableSection toggleText={schedule.name} className="image-more">
          <More schedule={schedule} />
        </ExpandableSection>
      </td>
      <td data-label={say.layer}>
        <Link to="/layers/$kind/$id" params={{ kind: 'any', id: schedule.layer_id }}>
          {schedule.layer_name}
        </Link>
      </td>
      <td data-label={say.when}>{say.zone(schedule.when, schedule.time_zone)}</td>
      <td data-label={say.next}>
        {schedule.next_run_at ? (
          <time dateTime={schedule.next_run_at}>{exactly(schedule.next_run_at)}</time>
        ) : (
          <Label isCompact>{say.disabled}</Label>
        )}
      </td>
      <td data-label={say.last}>{schedule.last ? <LastRun run={schedule.last} /> : say.neverRan}</td>
      <td className="row-menu">
        <ScheduleMenu schedule={schedule} />
      </td>
    </tr>
  );
}

function LastRun({ run }: { run: ScheduleRun }) {
  const begun = !(run.outcome in say.outcome);
  return (
    <>
      {begun ? (
        <TaskStateLabel state={run.outcome as TaskState} />
      ) : (
        <Label isCompact status="warning">
          {say.outcome[run.outcome]}
        </Label>
      )}{' '}
      <When at={run.at} />
      {run.task_id && (
        <>
          {' · '}
          <Link to="/tasks/$id" params={{ id: run.task_id }}>
            {words.frame.openTask}
          </Link>
        </>
      )}
      {run.text && <p className="quiet">{run.text}</p>}
    </>
  );
}

function More({ schedule }: { schedule: Schedule }) {
  const { version, files } = schedule;
  return (
    <>
      <Facts
        facts={[
          [say.versionName, version?.name ?? say.unreadable],
          files.length > 0 && [say.files, files.join(', ')],
          [say.by, schedule.created_by],
        ]}
      />
      {version && <ScriptText script={version.unattended.script} />}
    </>
  );
}

function ScriptText({ script }: { script: Script }) {
  return (
    // What scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre className="script-text" tabIndex={0} role="region" aria-label={`${say.script} ${script.name}`}>
      {script.text}
    </pre>
  );
}
