// Layer Details: the layer's name, and its first version's.
import type { Refusal } from '../api/refusal';
import { TextField } from '../parts/TextField';
import { words } from '../words';
import type { LayerDraft } from './CreateLayerPage';

const { createLayer: say } = words.wizard;

export interface LayerStepProps {
  draft: LayerDraft;
  put: (change: Partial<LayerDraft>) => void;
  refusal?: Refusal;
}

export function LayerDetailsStep({ draft, put, refusal }: LayerStepProps) {
  return (
    <>
      <TextField
        required
        label={say.name}
        help={say.nameHelp}
        value={draft.name}
        onChange={(name) => put({ name })}
        error={refusal?.field('/name')}
      />
      <TextField
        paragraph
        label={say.description}
        value={draft.description}
        onChange={(description) => put({ description })}
        error={refusal?.field('/description')}
      />
      <TextField
        required
        label={say.version}
        help={say.versionHelp}
        value={draft.version}
        onChange={(version) => put({ version })}
        error={refusal?.field('/version/name')}
      />
      <TextField
        paragraph
        label={say.versionDescription}
        value={draft.versionDescription}
        onChange={(versionDescription) => put({ versionDescription })}
        error={refusal?.field('/version/description')}
      />
    </>
  );
}
