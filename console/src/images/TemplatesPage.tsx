// Images ▸ Image Templates: all of them, what each is made of, and whether it can be published.
import { PageSection, SearchInput } from '@patternfly/react-core';
import LayerGroupIcon from '@patternfly/react-icons/dist/esm/icons/layer-group-icon';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { templatesQuery } from '../api/queries';
import type { Template } from '../api/wire';
import { FILTER } from '../frame/useShortcuts';
import { ActionLink } from '../parts/ActionLink';
import { MoreButton } from '../parts/MoreButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { TemplateStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { useMay } from '../session/useMay';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { NewerLabel } from './NewerLabel';
import { TemplateMenu } from './TemplateActions';

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

function TemplateTable({ templates }: { templates: Template[] }) {
  return (
    <table className="table" aria-label={say.templates}>
      <thead>
        <tr>
          <th scope="col">{say.name}</th>
          <th scope="col">{say.state}</th>
          <th scope="col">{say.os}</th>
          <th scope="col" className="number">
            {say.apps}
          </th>
          <th scope="col">{say.platform}</th>
          <th scope="col" className="number" title={say.estimateHelp}>
            {say.estimate}
          </th>
          <th scope="col">{say.changed}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {templates.map((template) => (
          <Row key={template.id} template={template} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ template }: { template: Template }) {
  const { id, name, state, os, apps, platform, has_newer: newer, estimate_bytes: estimate } = template;
  return (
    <tr>
      <td data-label={say.name}>
        <Link to="/templates/$id" params={{ id }}>
          {name}
        </Link>
      </td>
      <td data-label={say.state}>
        <TemplateStateLabel state={state} /> {newer && <NewerLabel text={say.hasNewer} />}
      </td>
      <td data-label={say.os}>{words.layers.versionOf(os.layer_name, os.version_name)}</td>
      <td data-label={say.apps} className="number">
        {apps.length}
      </td>
      <td data-label={say.platform}>{platform?.layer_name ?? words.frame.none}</td>
      <td data-label={say.estimate} className="number">
        {bytes(estimate)}
      </td>
      <td data-label={say.changed}>
        <When at={template.updated_at} />
      </td>
      <td className="row-menu">
        <TemplateMenu template={template} />
      </td>
    </tr>
  );
}
