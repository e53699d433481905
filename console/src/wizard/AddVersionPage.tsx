// Create OS Version: the wizard behind Add Version.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { asked, client } from '../api/client';
import { connectorsQuery, layerQuery, versionsQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import type { AddVersion, Connector, Layer, Version } from '../api/wire';
import { newId } from '../api/uuid';
import { actionOf } from '../parts/ActionButton';
import { PageTop } from '../parts/PageTop';
import { ProblemAlert } from '../parts/ProblemAlert';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ConfirmVersionStep } from './ConfirmVersionStep';
import { ConnectorStep } from './ConnectorStep';
import { LeaveGuard } from './LeaveGuard';
import { PackagingDiskStep } from './PackagingDiskStep';
import { PlatformLayerStep } from './PlatformLayerStep';
import { useDraft } from './useDraft';
import { VersionDetailsStep } from './VersionDetailsStep';
import { WizardFrame, type WizardStep } from './WizardFrame';

const { addVersion: say, confirm } = words.wizard;

export interface VersionDraft {
  base: string;
  name: string;
  description: string;
  size: string;
  connector: string;
  file: string;
  format: string;
  comment: string;
}

const EMPTY: VersionDraft = {
  base: '',
  name: '',
  description: '',
  size: '',
  connector: '',
  file: '',
  format: '',
  comment: '',
};

/** Which step holds the field that a pointer of the request names. */
const STEP_OF: [pointer: string, step: string][] = [
  ['/name', 'version'],
  ['/description', 'version'],
  ['/base_version_id', 'version'],
  ['/max_layer_size_gib', 'version'],
  ['/connector_id', 'connector'],
  ['/platform_version_id', 'platform'],
  ['/packaging_disk', 'disk'],
];

export function AddVersionPage() {
  const { id } = useParams({ from: '/signed-in/framed/layers/os/$id/add-version' });
  const layer = useQuery(layerQuery(id));
  const versions = useQuery(versionsQuery(id));
  const connectors = useQuery(connectorsQuery);
  return (
    <Reading of={layer}>
      {(shown) => (
        <Reading of={versions}>
          {(all) => (
            <Reading of={connectors}>
              {(places) => <AddVersionWizard layer={shown} versions={all} connectors={places} />}
            </Reading>
          )}
        </Reading>
      )}
    </Reading>
  );
}

interface Props {
  layer: Layer;
  versions: Version[];
  connectors: Connector[];
}

/** The request as the draft has it. What was left empty is left out. */
function request(draft: VersionDraft, id: string): AddVersion {
  return {
    id,
    name: draft.name,
    description: draft.description,
    base_version_id: draft.base || undefined,
    max_layer_size_gib: draft.size === '' ? undefined : Number(draft.size),
    connector_id: draft.connector,
    packaging_disk: { file_name: draft.file, format: draft.format || undefined },
    comment: draft.comment,
  };
}

function AddVersionWizard({ layer, versions, connectors }: Props) {
  const from = '/signed-in/framed/layers/os/$id/add-version';
  const search = useSearch({ from });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const initial = { ...EMPTY, base: search.base ?? '', connector: connectors.length === 1 ? connectors[0]!.id : '' };
  const { draft, put, forget, touched } = useDraft(`version.${layer.id}`, initial);
  const [id] = useState(newId);
  const finished = useRef(false);
  const toStep = (step: string) => void navigate({ to: '.', search: { ...search, step } });
  const body = request(draft, id);
  const create = useMutation({
    mutationFn: () =>
      asked(client.POST('/api/v1/layers/{id}/versions', { params: { path: { id: layer.id } }, body })),
    onSuccess: async ({ version }) => {
      finished.current = true;
      forget();
      await queries.invalidateQueries({ queryKey: ['versions', layer.id] });
      await navigate({ to: '/layers/os/$id', params: { id: layer.id }, search: { version: version.id } });
    },
    onError: (error) => {
      const step = STEP_OF.find(([pointer]) => wrongAt(error, pointer))?.[1];
      if (step) toStep(step);
    },
  });
  const refusal = create.error ? asRefusal(create.error) : undefined;
  const fields = { draft, put, refusal };
  const steps: WizardStep[] = [
    {
      id: 'version',
      name: say.details,
      missing: draft.name === '' ? say.enterVersion : undefined,
      body: <VersionDetailsStep {...fields} layer={layer} versions={versions} />,
    },
    {
      id: 'connector',
      name: say.connector,
      missing: connectors.some((one) => one.id === draft.connector) ? undefined : say.enterConnector,
      body: <ConnectorStep {...fields} connectors={connectors} />,
    },
    { id: 'platform', name: say.platform, body: <PlatformLayerStep /> },
    {
      id: 'disk',
      name: say.disk,
      missing: draft.file === '' ? say.enterFile : undefined,
      body: <PackagingDiskStep {...fields} />,
    },
    {
      id: 'confirm',
      name: confirm,
      body: <ConfirmVersionStep {...fields} layer={layer} versions={versions} connectors={connectors} body={body} />,
    },
  ];
  for (const step of steps) step.wrong = STEP_OF.some(([at, of]) => of === step.id && wrongAt(create.error, at));
  return (
    <>
      <PageTop
        title={say.title}
        above={[
          { label: words.layers.os, to: '/layers/os' },
          { label: layer.name, to: `/layers/os/${layer.id}` },
        ]}
      />
      {refusal && <div className="wizard-problem"><ProblemAlert error={refusal} /></div>}
      <WizardFrame
        steps={steps}
        at={search.step}
        onStep={toStep}
        finish={say.finish}
        finishing={create.isPending}
        // Once it is asked for, the layer is busy with it.
        action={create.isIdle || create.isError ? actionOf(layer.actions, 'add_version') : undefined}
        onFinish={() => create.mutate()}
        onCancel={() => void navigate({ to: '/layers/os/$id', params: { id: layer.id } })}
      />
      <LeaveGuard unfinished={() => touched && !finished.current} />
    </>
  );
}

function wrongAt(error: unknown, pointer: string): boolean {
  if (!error) return false;
  return Boolean(asRefusal(error).problem.errors?.some((one) => one.pointer.startsWith(pointer)));
}
