// Create Image Template and Edit Template: one wizard.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { asked, client } from '../api/client';
import { allLayersQuery, connectorsQuery, templateQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Connector, Layer, Template } from '../api/wire';
import { actionOf } from '../parts/ActionButton';
import { PageTop } from '../parts/PageTop';
import { ProblemAlert } from '../parts/ProblemAlert';
import { Loading, Reading } from '../parts/Reading';
import { useMay } from '../session/useMay';
import { LeaveGuard } from '../wizard/LeaveGuard';
import { useDraft } from '../wizard/useDraft';
import { stepsOf, WizardFrame } from '../wizard/WizardFrame';
import { words } from '../words';
import { ConfirmTemplateStep } from './ConfirmTemplateStep';
import { change, creation, draftOf, EMPTY, type TemplateDraft } from './templateDraft';
import { AppsStep, ConnectorChoiceStep, DiskStep, NameStep, OsStep, PlatformStep } from './TemplateSteps';

const { wizard: say, ...images } = words.images;

/** Which step holds the field that a pointer of the request names. */
const STEP_OF: [pointer: string, step: string][] = [
  ['/name', 'name'],
  ['/description', 'name'],
  ['/os_version_id', 'os'],
  ['/app_version_ids', 'apps'],
  ['/platform_version_id', 'platform'],
  ['/connector_id', 'connector'],
  ['/disk', 'disk'],
  ['/generalize', 'disk'],
];

export function CreateTemplatePage() {
  const { step } = useSearch({ from: '/signed-in/framed/create-template' });
  return <Wizard step={step} initial={EMPTY} />;
}

export function EditTemplatePage() {
  const { id } = useParams({ from: '/signed-in/framed/templates/$id/edit' });
  const { step } = useSearch({ from: '/signed-in/framed/templates/$id/edit' });
  const template = useQuery(templateQuery(id));
  return <Reading of={template}>{(shown) => <Wizard step={step} initial={draftOf(shown)} of={shown} />}</Reading>;
}

interface Props {
  step: string | undefined;
  initial: TemplateDraft;
  /** The template that is changed; none: one is made. */
  of?: Template;
}

/** The wizard, once all that one can choose from is known. */
function Wizard(props: Props) {
  const { data: systems } = useQuery(allLayersQuery('os'));
  const { data: apps } = useQuery(allLayersQuery('app'));
  const { data: platforms } = useQuery(allLayersQuery('platform'));
  const { data: connectors } = useQuery(connectorsQuery);
  if (!systems || !apps || !platforms || !connectors) return <Loading />;
  return <TemplateWizard {...props} systems={systems} apps={apps} platforms={platforms} connectors={connectors} />;
}

interface WizardProps extends Props {
  systems: Layer[];
  apps: Layer[];
  platforms: Layer[];
  connectors: Connector[];
}

function TemplateWizard({ step: at, initial, of, systems, apps, platforms, connectors }: WizardProps) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { draft, put, forget, touched } = useDraft(`template.${of?.id ?? ''}`, initial);
  const [id] = useState(() => of?.id ?? newId());
  const finished = useRef(false);
  const may = useMay('create_template');
  const toStep = (step: string) => void navigate({ to: '.', search: { step } });
  const body = creation(draft, id);
  const save = useMutation({
    mutationFn: () =>
      of
        ? asked(client.PATCH('/api/v1/templates/{id}', { params: { path: { id } }, body: change(draft) }))
        : asked(client.POST('/api/v1/templates', { body })),
    onSuccess: async () => {
      finished.current = true;
      forget();
      await queries.invalidateQueries({ queryKey: ['templates'] });
      await queries.invalidateQueries({ queryKey: ['template', id] });
      await navigate({ to: '/templates/$id', params: { id } });
    },
    onError: (error) => {
      const step = STEP_OF.find(([pointer]) => asRefusal(error).fieldUnder(pointer))?.[1];
      if (step) toStep(step);
    },
  });
  const refusal = save.error ? asRefusal(save.error) : undefined;
  const fields = { draft, put, refusal };
  const steps = stepsOf([
    {
      id: 'name',
      name: say.details,
      missing: draft.name === '' ? say.enterName : undefined,
      body: <NameStep {...fields} />,
    },
    {
      id: 'os',
      name: images.os,
      missing: Object.keys(draft.os).length === 0 ? words.wizard.addVersion.enterOs : undefined,
      body: <OsStep {...fields} layers={systems} />,
    },
    { id: 'apps', name: images.apps, body: <AppsStep {...fields} layers={apps} /> },
    { id: 'platform', name: images.platform, body: <PlatformStep {...fields} layers={platforms} /> },
    { id: 'connector', name: images.connector, body: <ConnectorChoiceStep {...fields} connectors={connectors} /> },
    { id: 'disk', name: images.disk, body: <DiskStep {...fields} /> },
    {
      id: 'confirm',
      name: words.wizard.confirm,
      body: <ConfirmTemplateStep {...fields} body={body} connectors={connectors} of={of} />,
    },
  ]);
  for (const step of steps) {
    step.wrong = STEP_OF.some(([pointer, holder]) => holder === step.id && refusal?.fieldUnder(pointer) !== undefined);
  }
  const above = [
    { label: images.templates, to: '/templates' },
    ...(of ? [{ label: of.name, to: `/templates/${of.id}` }] : []),
  ];
  return (
    <>
      <PageTop title={of ? say.editTitle(of.name) : say.createTitle} above={above} />
      {refusal && <div className="wizard-problem"><ProblemAlert error={refusal} /></div>}
      <WizardFrame
        steps={steps}
        at={at}
        onStep={toStep}
        finish={of ? say.save : say.create}
        finishing={save.isPending}
        action={of ? actionOf(of.actions, 'edit') : may}
        onFinish={() => save.mutate()}
        onCancel={() => void navigate(of ? { to: '/templates/$id', params: { id } } : { to: '/templates' })}
      />
      <LeaveGuard unfinished={() => touched && !finished.current} />
    </>
  );
}
