// Text to be taken elsewhere, with a button that copies it.
import { ClipboardCopy } from '@patternfly/react-core';
import { words } from '../words';

export function CopyLine({ text, label }: { text: string; label: string }) {
  return (
    <ClipboardCopy isReadOnly hoverTip={words.frame.copy} clickTip={words.frame.copied} textAriaLabel={label}>
      {text}
    </ClipboardCopy>
  );
}
