// Says that something newer exists.
import { Label } from '@patternfly/react-core';

export function NewerLabel({ text }: { text: string }) {
  return (
    <Label isCompact color="blue">
      {text}
    </Label>
  );
}
