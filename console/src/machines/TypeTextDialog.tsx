// Text that is typed into the machine, key by key.
import { Checkbox } from '@patternfly/react-core';
import { useState } from 'react';
import { AskDialog } from '../parts/AskDialog';
import { TextField } from '../parts/TextField';
import { words } from '../words';

const { machines: say } = words;

interface Props {
  onType: (text: string) => Promise<void>;
  onClose: () => void;
  /** The element to open in: in full screen nothing else is seen. */
  within: HTMLElement | null;
}

export function TypeTextDialog({ onType, onClose, within }: Props) {
  const [text, setText] = useState('');
  const [enter, setEnter] = useState(true);
  const [hide, setHide] = useState(false);
  return (
    <AskDialog
      title={say.typeTitle}
      verb={say.type}
      withComment={false}
      within={within}
      onDo={() => onType(enter ? `${text}\n` : text)}
      onClose={onClose}
    >
      <p>{say.typeLead}</p>
      <TextField
        autoFocus
        paragraph={!hide}
        type={hide ? 'password' : undefined}
        label={say.text}
        help={say.typing(text.length)}
        value={text}
        onChange={setText}
        autoComplete="off"
        spellCheck={false}
      />
      <Checkbox id="enter-after" label={say.enterAfter} isChecked={enter} onChange={(_, yes) => setEnter(yes)} />
      <Checkbox id="hide-text" label={say.hide} isChecked={hide} onChange={(_, yes) => setHide(yes)} />
    </AskDialog>
  );
}
