// Create Platform Layer and Create App Layer: the wizard that makes a layer in a packaging machine.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { asked, client } from '../api/client';
import { allLayersQuery, connectorsQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import { newId } from '../api/uuid';
import type { Connector, Layer, LayerKind, NewLayer } from '../api/wire';
import { NotHerePage } from '../frame/NotHere';
import { kindOf } from '../layers/choices';
import { PageTop } from '../parts/PageTop';
import { ProblemAlert } from '../parts/ProblemAlert';
import { Reading } from '../parts/Reading';
import { TextField } from '../parts/TextField';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { ConfirmPackageStep } from './ConfirmPackageStep';
import { ConnectorStep } from './ConnectorStep';
import { LayerDetailsStep, NewVersionFields, type NewLayerDraft } from './LayerDetailsStep';
import { LeaveGuard } from './LeaveGuard';
import { OsLayerStep } from './OsLayerStep';
import { machineOf, NO_PACKAGING, type PackagingDraft } from './packaging';
import { PackagingDiskStep } from './PackagingDiskStep';
import { PlatformLayerStep } from './PlatformLayerStep';
import { PrerequisitesStep } from './PrerequisitesStep';
import { useDraft } from './useDraft';
import { SizeField } from './VersionDetailsStep';
import { stepsOf, WizardFrame } from './WizardFrame';

const { packageLayer, createLayer, addVersion: say, confirm } = words.wizard;

export type PackagedKind = Exclude<LayerKind, 'os'>;

export interface PackageDraft extends NewLayerDraft, PackagingDraft {
  exclusions: string;
  comment: string;
}

const EMPTY: PackageDraft = {
  ...NO_PACKAGING,
  name: '',
  description: '',
  version: '',
  versionDescription: '',
  exclusions: '',
  comment: '',
};

/** Which step holds the field that a pointer of the request names. */
const STEP_OF: [pointer: string, step: string][] = [
  ['/name', 'details'],
  ['/description', 'details'],
  ['/exclusions', 'details'],
  ['/version', 'version'],
  ['/packaging/max_layer_size_gib', 'version'],
  ['/packaging/os_version_id', 'os'],
  ['/packaging/prerequisite_version_ids', 'prerequisites'],
  ['/packaging/connector_id', 'connector'],
  ['/packaging/platform_version_id', 'platform'],
  ['/packaging/packaging_disk', 'disk'],
];

export function PackageLayerPage() {
  const kind = kindOf(useParams({ from: '/signed-in/framed/create-layer/$kind' }).kind);
  const systems = useQuery(allLayersQuery('os'));
  const connectors = useQuery(connectorsQuery);
  if (kind === undefined || kind === 'os') return <NotHerePage />;
  return (
    <Reading of={systems}>
      {(layers) => (
        <Reading of={connectors}>
          {(places) => <PackageLayerWizard key={kind} kind={kind} systems={layers} connectors={places} />}
        </Reading>
      )}
    </Reading>
  );
}

/** The request as the draft has it. What was left empty is left out. */
function request(kind: PackagedKind, draft: PackageDraft, ids: { layer: string; version: string }): NewLayer {
  return {
    id: ids.layer,
    kind,
    name: draft.name,
    description: draft.description,
    version: { id: ids.version, name: draft.version, description: draft.versionDescription },
    packaging: {
      os_version_id: draft.osVersion,
      prerequisite_version_ids: Object.values(draft.prerequisites),
      ...machineOf(draft),
    },
    exclusions: draft.exclusions,
    comment: draft.comment,
  };
}

interface Props {
  kind: PackagedKind;
  systems: Layer[];
  connectors: Connector[];
}

function PackageLayerWizard({ kind, systems, connectors }: Props) {
  const search = useSearch({ from: '/signed-in/framed/create-layer/$kind' });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const ready = systems.filter((layer) => layer.newest_deployable);
  const { draft, put, forget, touched } = useDraft<PackageDraft>(`package.${kind}`, {
    ...EMPTY,
    ...(ready.length === 1 ? { osLayer: ready[0]!.id, osVersion: ready[0]!.newest_deployable! } : {}),
    connector: connectors.length === 1 ? connectors[0]!.id : '',
  });
  const { data: apps = [] } = useQuery(allLayersQuery('app'));
  const { data: platforms = [] } = useQuery(allLayersQuery('platform'));
  const goesWith = (layer: Layer) => layer.os_layer_id === draft.osLayer;
  const [ids] = useState(() => ({ layer: newId(), version: newId() }));
  const finished = useRef(false);
  const may = useMay('create_layer');
  const toStep = (step: string) => void navigate({ to: '.', search: { step } });
  const body = request(kind, draft, ids);
  const create = useMutation({
    mutationFn: () => asked(client.POST('/api/v1/layers', { body })),
    onSuccess: async ({ layer }) => {
      finished.current = true;
      forget();
      await queries.invalidateQueries({ queryKey: ['layers'] });
      await navigate({ to: '/layers/$kind/$id', params: { kind, id: layer.id } });
    },
    onError: (error) => {
      const step = STEP_OF.find(([pointer]) => asRefusal(error).fieldUnder(pointer))?.[1];
      if (step) toStep(step);
    },
  });
  const refusal = create.error ? asRefusal(create.error) : undefined;
  const fields = { draft, put, refusal };
  const packaging = { draft, put, wrong: (field: string) => refusal?.field(`/packaging/${field}`) };
  const steps = stepsOf([
    {
      id: 'details',
      name: createLayer.details,
      missing: draft.name === '' ? createLayer.enterName : undefined,
      body: (
        <>
          <LayerDetailsStep {...fields} nameHelp={packageLayer.nameHelp[kind]} />
          <TextField
            paragraph
            label={words.layers.exclusions}
            help={words.layers.exclusionsHelp}
            value={draft.exclusions}
            onChange={(exclusions) => put({ exclusions })}
            error={refusal?.field('/exclusions')}
            spellCheck={false}
          />
        </>
      ),
    },
    {
      id: 'version',
      name: say.details,
      missing: draft.version === '' ? say.enterVersion : undefined,
      body: (
        <>
          <NewVersionFields {...fields} />
          <SizeField value={draft.size} onChange={(size) => put({ size })} error={packaging.wrong('max_layer_size_gib')} />
        </>
      ),
    },
    {
      id: 'os',
      name: say.osVersion,
      missing: draft.osVersion === '' ? say.enterOs : undefined,
      body: <OsLayerStep {...packaging} layers={systems} />,
    },
    kind === 'app' && {
      id: 'prerequisites',
      name: say.prerequisites,
      body: <PrerequisitesStep {...packaging} layers={apps.filter(goesWith)} />,
    },
    {
      id: 'connector',
      name: say.connector,
      missing: connectors.some((one) => one.id === draft.connector) ? undefined : say.enterConnector,
      body: <ConnectorStep {...packaging} connectors={connectors} />,
    },
    kind === 'app' && {
      id: 'platform',
      name: say.platform,
      body: <PlatformLayerStep {...packaging} layers={platforms.filter(goesWith)} />,
    },
    {
      id: 'disk',
      name: say.disk,
      missing: draft.file === '' ? say.enterFile : undefined,
      body: <PackagingDiskStep {...packaging} />,
    },
    {
      id: 'confirm',
      name: confirm,
      body: <ConfirmPackageStep kind={kind} draft={draft} put={put} connectors={connectors} body={body} />,
    },
  ]);
  for (const step of steps) step.wrong = STEP_OF.some(([at, of]) => of === step.id && refusal?.fieldUnder(at) !== undefined);
  return (
    <>
      <PageTop
        title={words.layers.create[kind]}
        above={[{ label: words.layers[kind], to: `/layers/${kind}` }]}
      />
      {refusal && <div className="wizard-problem"><ProblemAlert error={refusal} /></div>}
      <WizardFrame
        steps={steps}
        at={search.step}
        onStep={toStep}
        finish={createLayer.finish}
        finishing={create.isPending}
        action={may}
        onFinish={() => create.mutate()}
        onCancel={() => void navigate({ to: '/layers/$kind', params: { kind } })}
      />
      <LeaveGuard unfinished={() => touched && !finished.current} />
    </>
  );
}
