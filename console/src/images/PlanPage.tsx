// The plan of an image template: which layer wins at every path, where layers conflict, what each one brings.
import { PageSection, SearchInput, Tab, Tabs, TabTitleText } from '@patternfly/react-core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { planQuery, templateQuery } from '../api/queries';
import type { Plan } from '../api/wire';
import { FILTER } from '../frame/useShortcuts';
import { MoreButton } from '../parts/MoreButton';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ConflictTable, LayerShares, PathTable, WarningTable } from './PlanTables';

const { images: say } = words;
const TABS = ['paths', 'conflicts', 'warnings', 'layers'] as const;

export function PlanPage() {
  const { id } = useParams({ from: '/signed-in/framed/templates/$id/plan' });
  const { q } = useSearch({ from: '/signed-in/framed/templates/$id/plan' });
  const template = useQuery(templateQuery(id));
  const plan = useInfiniteQuery(planQuery(id, q));
  return (
    <Reading of={template}>
      {({ name }) => (
        <>
          <PageTop
            title={say.planTitle(name)}
            lead={say.planLead}
            above={[
              { label: say.templates, to: '/templates' },
              { label: name, to: `/templates/${id}` },
            ]}
          />
          <PageSection isFilled>
            <Reading of={plan}>
              {({ pages }) => {
                const paths = pages.flatMap((page) => page.paths.items);
                return (
                  <>
                    <PlanTabs plan={pages[0]!} paths={paths} />
                    <MoreButton of={plan} />
                  </>
                );
              }}
            </Reading>
          </PageSection>
        </>
      )}
    </Reading>
  );
}

function PlanTabs({ plan, paths }: { plan: Plan; paths: Plan['paths']['items'] }) {
  const { q = '', tab = 'paths' } = useSearch({ from: '/signed-in/framed/templates/$id/plan' });
  const navigate = useNavigate();
  const put = (change: { q?: string; tab?: (typeof TABS)[number] }) =>
    void navigate({ to: '.', search: { q: q || undefined, tab, ...change }, replace: true });
  const sought = (path: string | null | undefined) => (path ?? '').toLowerCase().includes(q.toLowerCase());
  const tables = {
    paths: <PathTable paths={paths} layers={plan.layers} nothing={q ? say.planNothing : say.planUnchanged} />,
    conflicts: <ConflictTable plan={plan} conflicts={plan.conflicts.filter((one) => sought(one.path))} />,
    warnings: <WarningTable plan={plan} warnings={plan.warnings.filter((one) => sought(one.path))} />,
    layers: <LayerShares layers={plan.layers} />,
  };
  const counts = { paths: plan.path_count, conflicts: plan.conflict_count, warnings: plan.warnings.length, layers: plan.layers.length };
  return (
    <>
      <p className="plan-facts">
        {say.planFacts(plan.path_count.toLocaleString('en'), plan.conflict_count.toLocaleString('en'))}{' '}
        {plan.is_composed && say.planComposed}
      </p>
      <div className="filters">
        <SearchInput
          className={FILTER}
          aria-label={say.planSearch}
          placeholder={say.planSearch}
          value={q}
          onChange={(_, text) => put({ q: text || undefined })}
          onClear={() => put({ q: undefined })}
        />
      </div>
      <Tabs
        activeKey={tab}
        onSelect={(_, key) => put({ tab: TABS.find((one) => one === key) })}
        aria-label={say.planTitle('')}
        mountOnEnter
        unmountOnExit
      >
        {TABS.map((name) => (
          <Tab key={name} eventKey={name} title={<TabTitleText>{`${say.planTabs[name]} (${counts[name].toLocaleString('en')})`}</TabTitleText>}>
            {tables[name]}
          </Tab>
        ))}
      </Tabs>
    </>
  );
}
