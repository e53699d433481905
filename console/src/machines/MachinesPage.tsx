// All packaging machines.
import { Card, CardBody, CardFooter, CardHeader, CardTitle, PageSection } from '@patternfly/react-core';
import DesktopIcon from '@patternfly/react-icons/dist/esm/icons/desktop-icon';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { machinesQuery } from '../api/queries';
import type { Machine } from '../api/wire';
import { Facts } from '../parts/Facts';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { PowerLabel } from '../parts/StateLabel';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { PowerButtons } from './PowerButtons';

const { machines: say } = words;

export function MachinesPage() {
  const machines = useQuery(machinesQuery);
  return (
    <>
      <PageTop title={say.title} lead={say.lead} />
      <PageSection isFilled>
        <Reading of={machines}>
          {(all) =>
            all.length === 0 ? (
              <Nothing icon={DesktopIcon} title={say.nothing} text={say.nothingText}>
                <LinkButton to="/layers/$kind" params={{ kind: 'os' }}>{say.toLayers}</LinkButton>
              </Nothing>
            ) : (
              <ul className="cards">
                {all.map((machine) => (
                  <li key={machine.id}>
                    <MachineCard machine={machine} />
                  </li>
                ))}
              </ul>
            )
          }
        </Reading>
      </PageSection>
    </>
  );
}

function MachineCard({ machine }: { machine: Machine }) {
  return (
    <Card isCompact>
      <CardHeader>
        <CardTitle component="h2">
          <Link className="name" to="/machines/$id" params={{ id: machine.id }}>
            {machine.name}
          </Link>{' '}
          <PowerLabel power={machine.power} />
        </CardTitle>
      </CardHeader>
      <CardBody>
        <Facts
          columns={2}
          facts={[
            [say.layer, machine.layer_name],
            [say.version, machine.version_name],
            [say.connector, machine.connector_name],
            typeof machine.written_bytes === 'number' && [say.written, bytes(machine.written_bytes)],
          ]}
        />
      </CardBody>
      <CardFooter className="buttons">
        <LinkButton to="/machines/$id" params={{ id: machine.id }} search={{ tab: 'screen' }}>
          {say.openScreen}
        </LinkButton>
        <PowerButtons machine={machine} />
      </CardFooter>
    </Card>
  );
}
