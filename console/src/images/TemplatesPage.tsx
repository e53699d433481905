// Images ▸ Image Templates: all of them, what each is made of, and whether it can be published.
import { PageSection, SearchInput } from '@patternfly/react-core';
import LayerGroupIcon from '@patternfly/react-icons/dist/esm/icons/layer-group-icon';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { templatesQuery } from '../api/queries';
import { FILTER } from '../frame/useShortcuts';
import { ActionLink } from '../parts/ActionLink';
import { MoreButton } from '../parts/MoreButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { TemplateTable } from './TemplateTable';

const { images: say } = words;

export function TemplatesPage() {
  const { q } = useSearch({ from: '/signed-in/framed/templates' });
  const navigate = useNavigate();
  const templates = useInfiniteQuery(templatesQuery(q));
  const put = (text: string) => void navigate({ to: '.', search: { q: text || undefined }, replace: true });
  return (
    <>
      <PageTop title={say.templates} lead={say.templatesLead} actions={<CreateLink />} />
      <PageSection isFilled>
        <Reading of={templates}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.items);
            if (all.length === 0 && !q) return <NoTemplates />;
            return (
              <>
                <div className="filters">
                  <SearchInput
                    className={FILTER}
                    aria-label={say.filter}
                    placeholder={say.filter}
                    value={q ?? ''}
                    onChange={(_, text) => put(text)}
                    onClear={() => put('')}
                  />
                </div>
                {all.length > 0 ? <TemplateTable templates={all} /> : <Nothing title={say.notFound} text={say.notFoundText} />}
                <MoreButton of={templates} />
              </>
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function CreateLink() {
  const create = useMay('create_template');
  return (
    <ActionLink action={create} to="/create-template">
      {say.create}
    </ActionLink>
  );
}

function NoTemplates() {
  return (
    <Nothing icon={LayerGroupIcon} title={say.noTemplates} text={say.noTemplatesText}>
      <CreateLink />
    </Nothing>
  );
}
