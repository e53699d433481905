// The way of a newcomer, each step with what it needs to be done; what is done is ticked.
import { Card, CardBody, CardTitle } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import OutlinedCircleIcon from '@patternfly/react-icons/dist/esm/icons/outlined-circle-icon';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { connectorsQuery, fewLayersQuery, tasksQuery } from '../api/queries';
import { words } from '../words';

const { home: say } = words;

export function NextSteps() {
  const { data: connectors = [] } = useQuery(connectorsQuery);
  // The one with the most versions comes first: if it has one only, so have all.
  const most = fewLayersQuery({ kind: 'os', sort: 'version_count', descending: true }, 1);
  const { data: layers = [] } = useQuery(most);
  const ended = useInfiniteQuery(tasksQuery({ state: 'done' }));
  const done = new Set(ended.data?.pages[0]?.items.map((task) => task.kind));
  const first = layers[0];
  const version = first !== undefined && first.version_count > 1;
  return (
    <Card isCompact>
      <CardTitle component="h2">{say.next}</CardTitle>
      <CardBody>
        <ol className="next-steps">
          <Step isDone={connectors.length > 0} text={say.steps.connectorText}>
            <Link to="/connectors">{say.steps.connector}</Link>
          </Step>
          <Step isDone={layers.length > 0} text={say.steps.layerText}>
            <Link to="/create-os-layer">{say.steps.layer}</Link>
          </Step>
          <Step isDone={version} text={say.steps.versionText}>
            {first ? (
              <Link to="/layers/$kind/$id/add-version" params={{ kind: 'os', id: first.id }}>
                {say.steps.version}
              </Link>
            ) : (
              say.steps.version
            )}
          </Step>
          <Step isDone={done.has('export_version')} text={say.steps.exportText}>
            {first ? (
              <Link to="/layers/$kind/$id" params={{ kind: 'os', id: first.id }}>
                {say.steps.export}
              </Link>
            ) : (
              say.steps.export
            )}
          </Step>
        </ol>
      </CardBody>
    </Card>
  );
}

function Step({ isDone, text, children }: { isDone: boolean; text: string; children: React.ReactNode }) {
  return (
    <li className={isDone ? 'next-step next-step-done' : 'next-step'}>
      {isDone ? <CheckCircleIcon aria-label={say.done} /> : <OutlinedCircleIcon aria-hidden />}
      <div>
        {children}
        <p className="quiet">{text}</p>
      </div>
    </li>
  );
}
