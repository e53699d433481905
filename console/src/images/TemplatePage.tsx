// One image template: what it is made of, what is newer, how large images get, and its images.
import { Alert, Card, CardBody, CardTitle, PageSection } from '@patternfly/react-core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { imagesQuery, templateQuery } from '../api/queries';
import type { Template } from '../api/wire';
import { Facts } from '../parts/Facts';
import { LinkButton } from '../parts/LinkButton';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { TemplateStateLabel, VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { ImageTable } from './ImageTable';
import { NewerLabel } from './NewerLabel';
import { partsOf } from './parts';
import { TemplateButtons } from './TemplateActions';

const { images: say } = words;

export function TemplatePage() {
  const { id } = useParams({ from: '/signed-in/framed/templates/$id' });
  const template = useQuery(templateQuery(id));
  return <Reading of={template}>{(shown) => <OneTemplate template={shown} />}</Reading>;
}

function OneTemplate({ template }: { template: Template }) {
  return (
    <>
      <PageTop
        title={template.name}
        beside={<TemplateStateLabel state={template.state} />}
        lead={template.description || undefined}
        above={[{ label: say.templates, to: '/templates' }]}
        actions={<TemplateButtons template={template} />}
      />
      <PageSection isFilled className="stack">
        {template.obstacle && <Alert component="p" isInline variant="warning" title={template.obstacle} />}
        <TemplateFacts template={template} />
        <Parts template={template} />
        <Published template={template} />
      </PageSection>
    </>
  );
}

function TemplateFacts({ template }: { template: Template }) {
  const { disk } = template;
  return (
    <Facts
      columns={3}
      facts={[
        [say.estimate, <span key="estimate" title={say.estimateHelp}>{bytes(template.estimate_bytes)}</span>],
        [say.diskSize, bytes(template.disk_bytes)],
        [say.format, disk.format ?? say.sizeDefault],
        [say.fileName, disk.file_name ?? say.fileNameOwn],
        [say.connector, template.connector_name ?? say.none],
        [say.generalize, say.generalizes[template.generalize]],
        [say.changed, <When key="changed" at={template.updated_at} />],
      ]}
    />
  );
}

function Parts({ template }: { template: Template }) {
  return (
    <Card isCompact>
      <CardTitle component="h2">{say.parts}</CardTitle>
      <CardBody>
        <p className="quiet">{say.partsHelp}</p>
        <table className="table" aria-label={say.parts}>
          <thead>
            <tr>
              <th scope="col">{say.part}</th>
              <th scope="col">{say.version}</th>
              <th scope="col">{say.state}</th>
              <th scope="col" className="number">
                {say.data}
              </th>
            </tr>
          </thead>
          <tbody>
            {partsOf(template).map((part) => (
              <tr key={part.version_id}>
                <td data-label={say.part}>
                  <Link
                    to="/layers/$kind/$id"
                    params={{ kind: 'any', id: part.layer_id }}
                    search={{ version: part.version_id }}
                  >
                    {part.layer_name}
                  </Link>
                </td>
                <td data-label={say.version}>
                  {part.version_name} {part.newer && <NewerLabel text={say.newer(part.newer.version_name)} />}
                </td>
                <td data-label={say.state}>
                  <VersionStateLabel state={part.state} />
                </td>
                <td data-label={say.data} className="number">
                  {bytes(part.logical_bytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        <LinkButton variant="link" to="/templates/$id/plan" params={{ id: template.id }}>
          {say.plan}
        </LinkButton>
      </CardBody>
    </Card>
  );
}

const SHOWN = 5;

function Published({ template }: { template: Template }) {
  const images = useInfiniteQuery(imagesQuery({ template_id: template.id }));
  const newest = images.data?.pages[0]?.items.slice(0, SHOWN) ?? [];
  if (newest.length === 0) return null;
  return (
    <Card isCompact>
      <CardTitle component="h2">{say.imagesOf}</CardTitle>
      <CardBody>
        <ImageTable images={newest} />
        <LinkButton variant="link" to="/images" search={{ template: template.id }}>
          {say.allImages}
        </LinkButton>
      </CardBody>
    </Card>
  );
}
