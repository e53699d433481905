// Layer Details: what every new layer and its first version are called. Wizards ask for both on one step, or on two.
import type { Refusal } from '../api/refusal';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { createLayer: say } = words.wizard;

/** What every new layer has: its name, and its first version's. */
export interface NewLayerDraft {
  name: string;
  description: string;
  version: string;
  versionDescription: string;
}

interface Props {
  draft: NewLayerDraft;
  put: (change: Partial<NewLayerDraft>) => void;
  refusal?: Refusal;
  nameHelp?: string;
}

export function LayerDetailsStep({ draft, put, refusal, nameHelp }: Props) {
  return (
    <>
      <TextField
        required
        label={say.name}
        help={nameHelp ?? say.nameHelp}
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
    </>
  );
}

export function NewVersionFields({ draft, put, refusal }: Props) {
  return (
    <>
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
