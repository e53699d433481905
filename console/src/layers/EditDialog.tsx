// Name and description of a layer or a version; what is never in a layer, and what becomes of its old versions.
import { FormGroup, Radio } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import { asked, client } from '../api/client';
import { Refusal } from '../api/refusal';
import type { Layer, Version } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { layers: say } = words;

interface Props {
  title: string;
  nameLabel: string;
  was: { name: string; description: string };
  /** More fields, below. */
  more?: (wrong: Refusal | undefined) => ReactNode;
  onSave: (change: { name: string; description: string; comment: string }) => Promise<unknown>;
  onClose: () => void;
}

function EditDialog({ title, nameLabel, was, more, onSave, onClose }: Props) {
  const [name, setName] = useState(was.name);
  const [description, setDescription] = useState(was.description);
  const [wrong, setWrong] = useState<Refusal>();
  return (
    <AskDialog
      title={title}
      verb={words.frame.save}
      onClose={onClose}
      onDo={(comment) =>
        onSave({ name, description, comment }).catch((error: unknown) => {
          if (error instanceof Refusal) setWrong(error);
          throw error;
        })
      }
    >
      <TextField required autoFocus label={nameLabel} value={name} onChange={setName} error={wrong?.field('/name')} />
      <TextField
        paragraph
        label={say.description}
        value={description}
        onChange={setDescription}
        error={wrong?.field('/description')}
      />
      {more?.(wrong)}
    </AskDialog>
  );
}

const OLD = ['propose', 'delete'] as const;

export function EditLayerDialog({ layer, onClose }: { layer: Layer; onClose: () => void }) {
  const [exclusions, setExclusions] = useState(layer.exclusions ?? '');
  const [keep, setKeep] = useState(layer.retention ? String(layer.retention.keep) : '');
  const [old, setOld] = useState(layer.retention?.old_versions ?? 'propose');
  const at = { params: { path: { id: layer.id } } };
  const ofDelta = layer.kind !== 'os';
  return (
    <EditDialog
      title={say.editTitle(layer.name)}
      nameLabel={say.name}
      was={layer}
      onClose={onClose}
      more={(wrong) => (
        <>
          {ofDelta && (
            <TextField
              paragraph
              label={say.exclusions}
              help={say.exclusionsHelp}
              value={exclusions}
              onChange={setExclusions}
              error={wrong?.field('/exclusions')}
              spellCheck={false}
            />
          )}
          <TextField
            type="number"
            label={say.keep}
            help={say.keepHelp}
            value={keep}
            onChange={setKeep}
            error={wrong?.field('/retention/keep')}
          />
          {keep !== '' && (
            <FormGroup role="radiogroup" label={say.oldVersions} isStack fieldId="old-versions">
              {OLD.map((what) => (
                <Radio
                  key={what}
                  id={`old-versions-${what}`}
                  name="old-versions"
                  label={say.becomes[what]}
                  isChecked={old === what}
                  onChange={() => setOld(what)}
                />
              ))}
            </FormGroup>
          )}
        </>
      )}
      onSave={(change) => {
        const body = { ...change, ...(ofDelta && { exclusions }), retention: { keep: Number(keep), old_versions: old } };
        return asked(client.PATCH('/api/v1/layers/{id}', { ...at, body }));
      }}
    />
  );
}

export function EditVersionDialog({ version, onClose }: { version: Version; onClose: () => void }) {
  const at = { params: { path: { id: version.id } } };
  return (
    <EditDialog
      title={say.editTitle(version.name)}
      nameLabel={say.versionName}
      was={version}
      onClose={onClose}
      onSave={(body) => asked(client.PATCH('/api/v1/versions/{id}', { ...at, body }))}
    />
  );
}
