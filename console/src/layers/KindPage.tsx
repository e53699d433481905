// Platform and app layers: pages that say truthfully what they are waiting for.
import { PageSection } from '@patternfly/react-core';
import CubesIcon from '@patternfly/react-icons/dist/esm/icons/cubes-icon';
import PluggedIcon from '@patternfly/react-icons/dist/esm/icons/plugged-icon';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { words } from '../words';

const { layers: say } = words;

export function PlatformLayersPage() {
  return (
    <>
      <PageTop title={say.platform} />
      <PageSection isFilled>
        <Nothing icon={PluggedIcon} title={say.platformNothing} text={say.platformText}>
          <LinkButton variant="link" to="/layers/os">
            {say.os}
          </LinkButton>
        </Nothing>
      </PageSection>
    </>
  );
}

export function AppLayersPage() {
  return (
    <>
      <PageTop title={say.app} />
      <PageSection isFilled>
        <Nothing icon={CubesIcon} title={say.appNothing} text={say.appText}>
          <LinkButton variant="link" to="/layers/os">
            {say.os}
          </LinkButton>
        </Nothing>
      </PageSection>
    </>
  );
}
