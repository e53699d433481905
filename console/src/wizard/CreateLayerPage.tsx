// Create OS Layer: the wizard that makes a layer and its first version out of a disk.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { asked, client } from '../api/client';
import { asRefusal, type Refusal } from '../api/refusal';
import type { NewLayer } from '../api/wire';
import { useSending } from '../api/uploads';
import { newId } from '../api/uuid';
import { PageTop } from '../parts/PageTop';
import { ProblemAlert } from '../parts/ProblemAlert';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { ConfirmLayerStep } from './ConfirmLayerStep';
import { LayerDetailsStep, NewVersionFields, type NewLayerDraft } from './LayerDetailsStep';
import { LeaveGuard } from './LeaveGuard';
import { OsDiskStep } from './OsDiskStep';
import { useDraft } from './useDraft';
import { WizardFrame, type WizardStep } from './WizardFrame';

const { createLayer: say, confirm } = words.wizard;

export interface LayerDraft extends NewLayerDraft {
  from: 'upload' | 'file';
  upload: string;
  uploadName: string;
  path: string;
  keepFreeSpace: boolean;
  raw: boolean;
  comment: string;
}

export interface LayerStepProps {
  draft: LayerDraft;
  put: (change: Partial<LayerDraft>) => void;
  refusal?: Refusal;
}

const EMPTY: LayerDraft = {
  name: '',
  description: '',
  version: '',
  versionDescription: '',
  from: 'upload',
  upload: '',
  uploadName: '',
  path: '',
  keepFreeSpace: false,
  raw: false,
  comment: '',
};

/** Which step holds the field that a pointer of the request names; the rest is about the disk. */
const DETAILS = ['/name', '/description', '/version'];

function request(draft: LayerDraft, ids: { layer: string; version: string }): NewLayer {
  return {
    id: ids.layer,
    kind: 'os',
    name: draft.name,
    description: draft.description,
    version: { id: ids.version, name: draft.version, description: draft.versionDescription },
    source: draft.from === 'file' ? { file: draft.path } : { upload: draft.upload },
    format: draft.raw ? 'raw' : undefined,
    drop_free_space: !draft.keepFreeSpace,
    comment: draft.comment,
  };
}

export function CreateLayerPage() {
  const search = useSearch({ from: '/signed-in/framed/create-os-layer' });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { draft, put, forget, touched } = useDraft('layer', EMPTY);
  const [ids] = useState(() => ({ layer: newId(), version: newId() }));
  const finished = useRef(false);
  const sending = useSending(draft.upload || undefined);
  const may = useMay('create_layer');
  const toStep = (step: string) => void navigate({ to: '.', search: { step } });
  const body = request(draft, ids);
  const create = useMutation({
    mutationFn: () => asked(client.POST('/api/v1/layers', { body })),
    onSuccess: async ({ layer }) => {
      finished.current = true;
      forget();
      await queries.invalidateQueries({ queryKey: ['layers'] });
      await navigate({ to: '/layers/$kind/$id', params: { kind: 'os', id: layer.id } });
    },
    onError: (error) => {
      const wrong = asRefusal(error).problem.errors ?? [];
      if (wrong.length > 0) toStep(wrong.some(inDetails) ? 'details' : 'disk');
    },
  });
  const refusal = create.error ? asRefusal(create.error) : undefined;
  const wrong = refusal?.problem.errors ?? [];
  const fields = { draft, put, refusal };
  const steps: WizardStep[] = [
    {
      id: 'details',
      name: say.details,
      missing: draft.name === '' ? say.enterName : draft.version === '' ? say.enterVersion : undefined,
      wrong: wrong.some(inDetails),
      body: (
        <>
          <LayerDetailsStep {...fields} />
          <NewVersionFields {...fields} />
        </>
      ),
    },
    {
      id: 'disk',
      name: say.disk,
      missing: missingDisk(draft),
      wrong: wrong.some((one) => !inDetails(one)),
      body: <OsDiskStep {...fields} />,
    },
    {
      id: 'confirm',
      name: confirm,
      missing: draft.from === 'upload' && sending && sending.state !== 'done' ? say.uploadFirst : undefined,
      body: <ConfirmLayerStep {...fields} body={body} />,
    },
  ];
  return (
    <>
      <PageTop title={say.title} above={[{ label: words.layers.os, to: '/layers/os' }]} />
      {refusal && <div className="wizard-problem"><ProblemAlert error={refusal} /></div>}
      <WizardFrame
        steps={steps}
        at={search.step}
        onStep={toStep}
        finish={say.finish}
        finishing={create.isPending}
        action={may}
        onFinish={() => create.mutate()}
        onCancel={() => void navigate({ to: '/layers/$kind', params: { kind: 'os' } })}
      />
      <LeaveGuard unfinished={() => touched && !finished.current} />
    </>
  );
}

function missingDisk(draft: LayerDraft): string | undefined {
  return (draft.from === 'file' ? draft.path : draft.upload) === '' ? say.enterDisk : undefined;
}

function inDetails({ pointer }: { pointer: string }): boolean {
  return DETAILS.some((start) => pointer.startsWith(start));
}
