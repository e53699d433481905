// Installation: a person in the packaging machine, or a script; and a script now, or again and again by a schedule.
import { Button, FormGroup, FormSelect, FormSelectOption, Radio } from '@patternfly/react-core';
import { tellRefusal } from '../frame/notices';
import { discard, send } from '../api/uploads';
import { FieldHelp, TextField } from '../parts/TextField';
import { FileButton, SendingLine } from '../parts/UploadField';
import { words } from '../words';
import type { ScriptDraft } from './unattended';

const { installation: say } = words.wizard;

interface Props {
  draft: ScriptDraft;
  put: (change: Partial<ScriptDraft>) => void;
  /** What is wrong with the field of this name, if anything is. */
  wrong: (field: string) => string | undefined;
}

interface StepProps extends Props {
  /** The same of the schedule's own fields. */
  wrongSchedule: (field: string) => string | undefined;
}

export function InstallationStep({ draft, put, wrong, wrongSchedule }: StepProps) {
  return (
    <>
      <FormGroup role="radiogroup" label={say.who} isStack fieldId="who">
        <Radio
          id="by-person"
          name="who"
          label={say.person}
          description={say.personHelp}
          isChecked={!draft.byScript}
          onChange={() => put({ byScript: false, repeat: false })}
        />
        <Radio
          id="by-script"
          name="who"
          label={say.script}
          description={say.scriptHelp}
          isChecked={draft.byScript}
          onChange={() => put({ byScript: true })}
        />
      </FormGroup>
      {draft.byScript && (
        <>
          <ScriptFields draft={draft} put={put} wrong={wrong} />
          <WhenFields draft={draft} put={put} wrong={wrongSchedule} />
        </>
      )}
    </>
  );
}

function ScriptFields({ draft, put, wrong }: Props) {
  const take = (file: File) => {
    void file.text().then((scriptText) => put({ scriptName: file.name, scriptText }));
  };
  return (
    <>
      <TextField
        required
        label={say.name}
        help={say.nameHelp}
        value={draft.scriptName}
        onChange={(scriptName) => put({ scriptName })}
        error={wrong('unattended/script/name')}
        spellCheck={false}
      />
      <TextField
        required
        paragraph
        label={say.text}
        help={say.textHelp}
        value={draft.scriptText}
        onChange={(scriptText) => put({ scriptText })}
        error={wrong('unattended/script/text')}
        spellCheck={false}
      />
      <FileButton label={say.chooseScript} onFile={take} />
      <ScriptFiles draft={draft} put={put} wrong={wrong} />
      <FormGroup label={say.onFailure} fieldId="on-failure">
        <FormSelect
          id="on-failure"
          value={draft.onFailure}
          onChange={(_, chosen) => put({ onFailure: chosen as ScriptDraft['onFailure'] })}
        >
          <FormSelectOption value="keep" label={say.keep} />
          <FormSelectOption value="discard" label={say.discard} />
        </FormSelect>
      </FormGroup>
      <TextField
        type="number"
        label={say.timeLimit}
        help={say.timeLimitHelp}
        value={draft.timeLimit}
        onChange={(timeLimit) => put({ timeLimit })}
        error={wrong('unattended/time_limit_minutes')}
      />
    </>
  );
}

function ScriptFiles({ draft, put, wrong }: Props) {
  const begin = (file: File) => {
    send(file).then((id) => put({ scriptFiles: [...draft.scriptFiles, { id, name: file.name }] }), tellRefusal);
  };
  const drop = (id: string) => {
    put({ scriptFiles: draft.scriptFiles.filter((file) => file.id !== id) });
    discard(id).catch(tellRefusal);
  };
  return (
    <FormGroup label={say.files} fieldId="script-files">
      {draft.scriptFiles.map(({ id, name }) => (
        <div key={id} className="sending-file">
          <SendingLine id={id} />
          <span className="name">{name}</span>{' '}
          <Button variant="link" isInline isDanger onClick={() => drop(id)} aria-label={say.dropFile(name)}>
            {words.wizard.createLayer.discard}
          </Button>
        </div>
      ))}
      <FileButton label={say.addFile} onFile={begin} />
      <FieldHelp id="script-files-help" help={say.filesHelp} error={wrong('unattended/upload_ids')} />
    </FormGroup>
  );
}

function WhenFields({ draft, put, wrong }: Props) {
  return (
    <>
      <FormGroup role="radiogroup" label={say.when} isStack fieldId="when-group">
        <Radio
          id="when-now"
          name="when"
          label={say.now}
          isChecked={!draft.repeat}
          onChange={() => put({ repeat: false })}
        />
        <Radio
          id="when-again"
          name="when"
          label={say.again}
          description={say.againHelp}
          isChecked={draft.repeat}
          onChange={() => put({ repeat: true })}
        />
      </FormGroup>
      {draft.repeat && <ScheduleFields value={draft} put={put} wrong={wrong} />}
    </>
  );
}

interface ScheduleFieldsProps {
  value: Pick<ScriptDraft, 'schedule' | 'when' | 'timeZone'>;
  put: (change: Partial<Pick<ScriptDraft, 'schedule' | 'when' | 'timeZone'>>) => void;
  wrong: (field: string) => string | undefined;
}

/** Name and times of a schedule. */
export function ScheduleFields({ value, put, wrong }: ScheduleFieldsProps) {
  return (
    <>
      <TextField
        required
        label={say.schedule}
        value={value.schedule}
        onChange={(schedule) => put({ schedule })}
        error={wrong('name')}
      />
      <TextField
        required
        label={say.times}
        help={say.timesHelp}
        value={value.when}
        onChange={(when) => put({ when })}
        error={wrong('when')}
        spellCheck={false}
      />
      <TextField
        required
        label={say.timeZone}
        help={say.timeZoneHelp}
        value={value.timeZone}
        onChange={(timeZone) => put({ timeZone })}
        error={wrong('time_zone')}
        spellCheck={false}
      />
    </>
  );
}
