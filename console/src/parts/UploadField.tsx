// Chooses a file and sends it: progress, pause, go on; after a reload, the same file goes on where it stopped.
import { Button, FormGroup, Progress, ProgressMeasureLocation, ProgressSize } from '@patternfly/react-core';
import UploadIcon from '@patternfly/react-icons/dist/esm/icons/upload-icon';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState, type DragEvent } from 'react';
import { uploadsQuery } from '../api/queries';
import type { Upload } from '../api/wire';
import { discard, pause, resume, send, useSending } from '../api/uploads';
import { tellRefusal } from '../frame/notices';
import { bytes } from '../show/bytes';
import { span } from '../show/time';
import { words } from '../words';
import { FieldHelp } from './TextField';

const { createLayer: say } = words.wizard;

interface Props {
  /** The upload's id, or nothing. */
  id: string;
  name: string;
  error?: string;
  onChange: (id: string, name: string) => void;
}

export function UploadField({ id, name, error, onChange }: Props) {
  const sending = useSending(id || undefined);
  const queries = useQueryClient();
  const { data: uploads = [] } = useQuery(uploadsQuery);
  const mine = uploads.find((upload) => upload.id === id);
  const begin = (file: File) => {
    const known = uploads.find((upload) => upload.name === file.name && upload.size === file.size && !complete(upload));
    send(file, known).then((started) => onChange(started, file.name), tellRefusal);
  };
  const drop = async (upload: { id: string }) => {
    if (upload.id === id) onChange('', '');
    await discard(upload.id).catch(tellRefusal);
    await queries.invalidateQueries({ queryKey: ['uploads'] });
  };
  const arrived = sending?.state === 'done' || (mine !== undefined && complete(mine));
  const left = uploads.filter((upload) => !complete(upload) && upload.id !== sending?.id);
  return (
    <FormGroup label={say.disk} fieldId="upload" isRequired>
      {sending ? <SendingLine id={id} /> : arrived && <p className="name">{name}</p>}
      <div className="buttons">
        <FileButton label={id ? say.another : say.chooseFile} onFile={begin} />
        {id && (
          <Button variant="link" isDanger onClick={() => void drop({ id })}>
            {say.discard}
          </Button>
        )}
      </div>
      <FieldHelp id="upload-help" help={say.fileHelp} error={error} />
      {left.length > 0 && <Unfinished uploads={left} onDiscard={(upload) => void drop(upload)} />}
    </FormGroup>
  );
}

function complete(upload: Upload): boolean {
  return upload.received >= upload.size;
}

/** How an upload goes, with Pause and Go on. Nothing when this browser does not send it. */
export function SendingLine({ id }: { id: string }) {
  const sending = useSending(id || undefined);
  if (sending === undefined) return null;
  const { name, size, received, state, rate, refusal } = sending;
  const facts = [
    words.tasks.bytesOf(bytes(received), bytes(size)),
    rate !== undefined && words.tasks.rate(bytes(rate)),
    rate !== undefined && rate > 0 && words.tasks.left(span((size - received) / rate)),
    say.states[state],
  ].filter(Boolean);
  return (
    <div className="sending">
      <Progress
        title={name}
        aria-label={say.uploading(name)}
        size={ProgressSize.sm}
        measureLocation={ProgressMeasureLocation.outside}
        value={size === 0 ? 100 : Math.floor((100 * received) / size)}
        variant={state === 'done' ? 'success' : state === 'failed' ? 'danger' : undefined}
      />
      <p className="quiet">{facts.join(' · ')}</p>
      {refusal && <p role="alert">{refusal.message}</p>}
      {state === 'sending' || state === 'waiting' ? (
        <Button variant="link" isInline onClick={() => pause(id)}>
          {say.pause}
        </Button>
      ) : (
        state !== 'done' && (
          <Button variant="link" isInline onClick={() => resume(id)}>
            {say.resume}
          </Button>
        )
      )}
    </div>
  );
}

interface FileButtonProps {
  label: string;
  multiple?: boolean;
  onFile: (file: File) => void;
}

/** A button that opens the browser's file chooser; a file may be dropped on it as well. */
export function FileButton({ label, multiple, onFile }: FileButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const take = (files: FileList | null) => {
    for (const file of files ?? []) onFile(file);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return (
    <span
      className={over ? 'drop drop-over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Button variant="secondary" icon={<UploadIcon />} onClick={() => input.current?.click()}>
        {label}
      </Button>
      <span className="quiet wide-only">{say.dropHere}</span>
      <input
        ref={input}
        type="file"
        hidden
        multiple={multiple}
        onChange={(event) => {
          take(event.target.files);
          event.target.value = '';
        }}
      />
    </span>
  );
}

interface UnfinishedProps {
  uploads: Upload[];
  onDiscard: (upload: Upload) => void;
}

function Unfinished({ uploads, onDiscard }: UnfinishedProps) {
  return (
    <div className="unfinished">
      <h3>{say.unfinished}</h3>
      <ul>
        {uploads.map((upload) => (
          <li key={upload.id}>
            {say.chooseAgain(upload.name, Math.floor((100 * upload.received) / upload.size))}{' '}
            <Button variant="link" isInline isDanger onClick={() => onDiscard(upload)}>
              {say.discard}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}
