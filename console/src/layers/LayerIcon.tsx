// A picture of what is in a layer, guessed from its name. Only for the eye: nothing depends on it.
import LinuxIcon from '@patternfly/react-icons/dist/esm/icons/linux-icon';
import ServerIcon from '@patternfly/react-icons/dist/esm/icons/server-icon';
import WindowsIcon from '@patternfly/react-icons/dist/esm/icons/windows-icon';
import type { ComponentType } from 'react';

const GUESSES: [RegExp, ComponentType][] = [
  [/win(dows|\d|\b)/i, WindowsIcon],
  [/linux|debian|ubuntu|red ?hat|rhel|centos|rocky|alma|fedora|suse|arch|alpine/i, LinuxIcon],
];

export function LayerIcon({ name }: { name: string }) {
  const Icon = GUESSES.find(([pattern]) => pattern.test(name))?.[1] ?? ServerIcon;
  return (
    <span className="layer-icon" aria-hidden>
      <Icon />
    </span>
  );
}
