// Publish: where the images go, and whether each is started once to see that it boots. One request for each template: what one is
// refused for keeps no other from being published.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { connectorKindsQuery, connectorsQuery } from '../api/queries';
import { asRefusal, Refusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Template } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { Facts } from '../parts/Facts';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { able, publication, usualTarget, type PublishDraft } from './publish';
import { Boot, Target, ToServer } from './PublishFields';

const { images: say } = words;

/** What came of the templates that were asked for already: those that are under way, and why the others are not. */
type Outcomes = ReadonlyMap<string, 'begun' | Refusal>;

export function PublishDialog({ templates, onClose }: { templates: Template[]; onClose: () => void }) {
  const { data: connectors = [] } = useQuery(connectorsQuery);
  const { data: kinds = [] } = useQuery(connectorKindsQuery);
  const [ids] = useState(() => new Map(templates.map(({ id }) => [id, newId()])));
  const [draft, setDraft] = useState<Partial<PublishDraft>>({});
  const [outcomes, setOutcomes] = useState<Outcomes>(new Map());
  const taking = able(connectors, kinds, 'takes_images');
  const whole = { target: usualTarget(templates, taking), ...draft };
  const put = (change: Partial<PublishDraft>) => setDraft({ ...draft, ...change });
  const run = async (comment: string) => {
    const now = await publishAll(templates, outcomes, (template) => {
      const body = publication(whole, ids.get(template.id)!, comment);
      return asked(client.POST('/api/v1/templates/{id}/publish', { params: { path: { id: template.id } }, body }));
    });
    setOutcomes(now);
    const refused = [...now.values()].filter((one) => one !== 'begun');
    if (refused.length === 0) return;
    throw templates.length === 1 ? refused[0] : new Refusal({ detail: say.someRefused(refused.length, templates.length) }, 0);
  };
  const wrong = (field: string) => {
    const refused = [...outcomes.values()].find((one) => one !== 'begun' && one.field(field));
    return refused === 'begun' ? undefined : refused?.field(field);
  };
  const fields = { draft: whole, put, wrong };
  return (
    <AskDialog
      title={templates.length === 1 ? say.publishTitle(templates[0]!.name) : say.publishSeveral(templates.length)}
      verb={say.publish}
      onDo={run}
      onClose={onClose}
    >
      <p>{templates.length === 1 ? say.publishLead : say.publishSeveralLead}</p>
      <What templates={templates} outcomes={outcomes} />
      <Target {...fields} taking={taking} several={templates.length > 1} />
      <ToServer {...fields} several={templates.length > 1} />
      <Boot
        {...fields}
        booting={able(connectors, kinds, 'boots_images')}
        labels={kinds.filter((kind) => kind.boots_images).map(({ label }) => label)}
        usual={templates.length === 1 ? (templates[0]!.connector_id ?? undefined) : undefined}
      />
    </AskDialog>
  );
}

/** Asks for every template that is not under way yet. */
async function publishAll(templates: Template[], before: Outcomes, publish: (template: Template) => Promise<unknown>): Promise<Outcomes> {
  const now = new Map(before);
  for (const template of templates.filter(({ id }) => before.get(id) !== 'begun')) {
    now.set(template.id, await publish(template).then(() => 'begun' as const, asRefusal));
  }
  return now;
}

function What({ templates, outcomes }: { templates: Template[]; outcomes: Outcomes }) {
  const estimate = templates.reduce((sum, template) => sum + template.estimate_bytes, 0);
  const [only, another] = templates;
  return (
    <>
      {another && (
        <ul className="used-by" aria-label={say.templates}>
          {templates.map(({ id, name }) => (
            <li key={id}>
              <strong>{name}</strong> {told(outcomes.get(id))}
            </li>
          ))}
        </ul>
      )}
      <Facts
        columns={2}
        facts={[
          [say.estimate, <span key="estimate" title={say.estimateHelp}>{bytes(estimate)}</span>],
          !another && [say.format, only?.disk.format],
        ]}
      />
    </>
  );
}

const told = (outcome: 'begun' | Refusal | undefined) => (outcome === 'begun' ? say.begun : outcome?.message);
