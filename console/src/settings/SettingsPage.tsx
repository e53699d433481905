// Settings, one section at an address.
import { PageSection, Tab, Tabs, TabTitleText } from '@patternfly/react-core';
import { useNavigate, useParams } from '@tanstack/react-router';
import { NotHere } from '../frame/NotHere';
import { PageTop } from '../parts/PageTop';
import { words } from '../words';
import { CertificateSection } from './CertificateSection';
import { RepositorySection } from './RepositorySection';
import { TokensSection } from './TokensSection';
import { UsersSection } from './UsersSection';

const { settings: say } = words;
const SETTINGS = ['repository', 'users', 'tokens', 'certificate'] as const;

const SECTIONS = {
  repository: RepositorySection,
  users: UsersSection,
  tokens: TokensSection,
  certificate: CertificateSection,
};

export function SettingsPage() {
  const { section } = useParams({ from: '/signed-in/framed/settings/$section' });
  const navigate = useNavigate();
  const known = SETTINGS.find((one) => one === section);
  if (known === undefined) return <NotHere />;
  return (
    <>
      <PageTop title={`${say.title}: ${say.sections[known]}`} />
      <PageSection isFilled>
        <Tabs
          activeKey={known}
          aria-label={say.title}
          mountOnEnter
          unmountOnExit
          onSelect={(_, key) => void navigate({ to: '/settings/$section', params: { section: String(key) } })}
        >
          {SETTINGS.map((one) => {
            const Section = SECTIONS[one];
            return (
              <Tab key={one} eventKey={one} title={<TabTitleText>{say.sections[one]}</TabTitleText>}>
                <div className="settings-section">
                  <Section />
                </div>
              </Tab>
            );
          })}
        </Tabs>
      </PageSection>
    </>
  );
}
