// Create OS, Platform or App Version: the wizard behind Add Version.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { asked, client } from '../api/client';
import { allLayersQuery, connectorsQuery, layerQuery, versionsQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import type { AddVersion, Connector, Layer, NewSchedule, Version } from '../api/wire';
import { newId } from '../api/uuid';
import { actionOf } from '../parts/ActionButton';
import { PageTop } from '../parts/PageTop';
import { ProblemAlert } from '../parts/ProblemAlert';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ConfirmVersionStep } from './ConfirmVersionStep';
import { ConnectorStep } from './ConnectorStep';
import { InstallationStep } from './InstallationStep';
import { LeaveGuard } from './LeaveGuard';
import { OsVersionStep } from './OsVersionStep';
import { machineOf, NO_PACKAGING, type PackagingDraft } from './packaging';
import { PackagingDiskStep } from './PackagingDiskStep';
import { PlatformLayerStep } from './PlatformLayerStep';
import { PrerequisitesStep } from './PrerequisitesStep';
import { NO_SCRIPT, scheduleOf, type ScriptDraft, unattendedOf } from './unattended';
import { useDraft } from './useDraft';
import { VersionDetailsStep } from './VersionDetailsStep';
import { stepsOf, WizardFrame } from './WizardFrame';

const { addVersion: say, installation, confirm } = words.wizard;

export interface VersionDraft extends PackagingDraft, ScriptDraft {
  base: string;
  name: string;
  description: string;
  /** The prerequisite layers are the base version's. */
  samePrerequisites: boolean;
  comment: string;
}

const EMPTY: VersionDraft = {
  ...NO_PACKAGING,
  ...NO_SCRIPT,
  base: '',
  name: '',
  description: '',
  samePrerequisites: true,
  comment: '',
};

/** Which step holds the field that a pointer of the request names. */
const STEP_OF: [pointer: string, step: string][] = [
  ['/name', 'version'],
  ['/description', 'version'],
  ['/base_version_id', 'version'],
  ['/max_layer_size_gib', 'version'],
  ['/os_version_id', 'os'],
  ['/prerequisite_version_ids', 'prerequisites'],
  ['/connector_id', 'connector'],
  ['/platform_version_id', 'platform'],
  ['/packaging_disk', 'disk'],
  ['/unattended', 'installation'],
];

/** The same with what only a schedule has; the versions it makes stand below `version` in its request. */
function pointers(repeat: boolean): [pointer: string, step: string][] {
  if (!repeat) return STEP_OF;
  const own = ['/name', '/when', '/time_zone'].map((pointer): [string, string] => [pointer, 'installation']);
  return [...STEP_OF.map(([pointer, step]): [string, string] => [`/version${pointer}`, step]), ...own];
}

/** Why the step Installation is not done yet, if it is not. */
function missingOf(draft: ScriptDraft): string | undefined {
  if (draft.byScript && draft.scriptText === '') return installation.enterScript;
  if (draft.repeat && (draft.schedule === '' || draft.when === '')) return installation.enterSchedule;
  return undefined;
}

/** Sends the request; answers the version's id, or nothing where a schedule will make versions. */
async function ask(layer: string, body: AddVersion, schedule: NewSchedule | undefined): Promise<string | undefined> {
  if (schedule) {
    await asked(client.POST('/api/v1/schedules', { body: schedule }));
    return undefined;
  }
  const { version } = await asked(
    client.POST('/api/v1/layers/{id}/versions', { params: { path: { id: layer } }, body }),
  );
  return version.id;
}

const FROM = '/signed-in/framed/layers/$kind/$id/add-version';

export function AddVersionPage() {
  const { id } = useParams({ from: FROM });
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
    os_version_id: draft.osVersion || undefined,
    prerequisite_version_ids: draft.samePrerequisites ? undefined : Object.values(draft.prerequisites),
    ...machineOf(draft),
    unattended: unattendedOf(draft),
    comment: draft.comment,
  };
}

function AddVersionWizard({ layer, versions, connectors }: Props) {
  const search = useSearch({ from: FROM });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const initial = { ...EMPTY, base: search.base ?? '', connector: connectors.length === 1 ? connectors[0]!.id : '' };
  const { draft, put, forget, touched } = useDraft(`version.${layer.id}`, initial);
  const [id] = useState(newId);
  const finished = useRef(false);
  const back = { to: '/layers/$kind/$id', params: { kind: layer.kind, id: layer.id } } as const;
  const osLayer = layer.os_layer_id ?? layer.id;
  const { data: platforms = [] } = useQuery(allLayersQuery('platform'));
  const { data: apps = [] } = useQuery(allLayersQuery('app'));
  const { data: systems = [] } = useQuery({ ...allLayersQuery('os'), enabled: layer.kind !== 'os' });
  const goesWith = (one: Layer) => one.os_layer_id === osLayer && one.id !== layer.id;
  const toStep = (step: string) => void navigate({ to: '.', search: { ...search, step } });
  const body = request(draft, id);
  const script = body.unattended;
  const schedule = draft.repeat && script ? scheduleOf(draft, id, layer.id, body, script) : undefined;
  const create = useMutation({
    mutationFn: () => ask(layer.id, body, schedule),
    onSuccess: async (version) => {
      finished.current = true;
      forget();
      await queries.invalidateQueries({ queryKey: ['versions', layer.id] });
      if (version === undefined) await navigate({ to: '/schedules' });
      else await navigate({ ...back, search: { version } });
    },
    onError: (error) => {
      const step = pointers(draft.repeat).find(([pointer]) => asRefusal(error).fieldUnder(pointer))?.[1];
      if (step) toStep(step);
    },
  });
  const refusal = create.error ? asRefusal(create.error) : undefined;
  const wrong = (field: string) => refusal?.field(`${draft.repeat ? '/version' : ''}/${field}`);
  const fields = { draft, put, wrong };
  const base = versions.find((one) => one.id === (draft.base || layer.newest_deployable));
  const before = {
    ids: base?.prerequisite_version_ids ?? [],
    same: draft.samePrerequisites,
    onSame: (samePrerequisites: boolean) => put({ samePrerequisites }),
  };
  const steps = stepsOf([
    {
      id: 'version',
      name: say.details,
      missing: draft.name === '' ? say.enterVersion : undefined,
      body: <VersionDetailsStep {...fields} layer={layer} versions={versions} />,
    },
    layer.kind !== 'os' && {
      id: 'os',
      name: say.osVersion,
      body: <OsVersionStep {...fields} layer={systems.find((one) => one.id === osLayer)} />,
    },
    layer.kind === 'app' && {
      id: 'prerequisites',
      name: say.prerequisites,
      body: <PrerequisitesStep {...fields} layers={apps.filter(goesWith)} before={before} />,
    },
    {
      id: 'connector',
      name: say.connector,
      missing: connectors.some((one) => one.id === draft.connector) ? undefined : say.enterConnector,
      body: <ConnectorStep {...fields} connectors={connectors} />,
    },
    layer.kind !== 'platform' && {
      id: 'platform',
      name: say.platform,
      body: <PlatformLayerStep {...fields} layers={platforms.filter(goesWith)} />,
    },
    {
      id: 'disk',
      name: say.disk,
      missing: draft.file === '' ? say.enterFile : undefined,
      body: <PackagingDiskStep {...fields} />,
    },
    {
      id: 'installation',
      name: installation.title,
      missing: missingOf(draft),
      body: <InstallationStep {...fields} wrongSchedule={(field) => refusal?.field(`/${field}`)} />,
    },
    {
      id: 'confirm',
      name: confirm,
      body: (
        <ConfirmVersionStep
          {...fields}
          layer={layer}
          versions={versions}
          connectors={connectors}
          body={body}
          schedule={schedule}
        />
      ),
    },
  ]);
  for (const step of steps) {
    step.wrong = pointers(draft.repeat).some(([at, of]) => of === step.id && refusal?.fieldUnder(at) !== undefined);
  }
  return (
    <>
      <PageTop
        title={say.title[layer.kind]}
        above={[
          { label: words.layers[layer.kind], to: `/layers/${layer.kind}` },
          { label: layer.name, to: `/layers/${layer.kind}/${layer.id}` },
        ]}
      />
      {refusal && <div className="wizard-problem"><ProblemAlert error={refusal} /></div>}
      <WizardFrame
        steps={steps}
        at={search.step}
        onStep={toStep}
        finish={draft.repeat ? installation.finishSchedule : say.finish}
        finishing={create.isPending}
        // Once it is asked for, the layer is busy with it.
        action={create.isIdle || create.isError ? actionOf(layer.actions, 'add_version') : undefined}
        onFinish={() => create.mutate()}
        onCancel={() => void navigate(back)}
      />
      <LeaveGuard unfinished={() => touched && !finished.current} />
    </>
  );
}
