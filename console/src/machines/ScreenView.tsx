// The screen of a machine with what belongs to it: keys that a browser keeps, text, full screen, own window.
import { Button } from '@patternfly/react-core';
import DesktopIcon from '@patternfly/react-icons/dist/esm/icons/desktop-icon';
import { useEffect, useState } from 'react';
import type { Machine } from '../api/wire';
import { Nothing } from '../parts/Nothing';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { PowerButtons } from './PowerButtons';
import { TypeTextDialog } from './TypeTextDialog';
import { useScreen } from './useScreen';

const { machines: say } = words;

interface Props {
  machine: Machine;
  /** Whether this is the machine's own window already. */
  alone?: boolean;
}

export function ScreenView({ machine, alone = false }: Props) {
  const may = useMay('open_screen');
  if (may && !may.allowed) return <Nothing icon={DesktopIcon} title={say.notForYou} text={may.reason ?? ''} />;
  if (machine.power === 'running' && machine.has_screen) return <LiveScreen machine={machine} alone={alone} />;
  if (machine.power === 'running') return <Nothing icon={DesktopIcon} title={say.noScreen} text={say.noScreenText} />;
  return (
    <Nothing icon={DesktopIcon} title={say.isOff} text={say.isOffText}>
      <PowerButtons machine={machine} only={['power_on']} />
    </Nothing>
  );
}

function LiveScreen({ machine, alone }: Required<Props>) {
  const [frame, setFrame] = useState<HTMLElement | null>(null);
  const [target, setTarget] = useState<HTMLElement | null>(null);
  const screen = useScreen(machine.id, target);
  const [typing, setTyping] = useState(false);
  const connected = screen.state === 'connected';
  useWayOut(frame);
  return (
    <div className="screen-frame" ref={setFrame}>
      <div className="screen-tools" role="toolbar" aria-label={say.screenOf(machine.name)}>
        <Button size="sm" variant="secondary" isDisabled={!connected} onClick={screen.ctrlAltDel}>
          {say.ctrlAltDel}
        </Button>
        <Button size="sm" variant="secondary" isDisabled={!connected} onClick={() => setTyping(true)}>
          {say.typeText}
        </Button>
        <Button size="sm" variant="secondary" onClick={() => void frame?.requestFullscreen()}>
          {say.fullScreen}
        </Button>
        {!alone && (
          <Button size="sm" variant="secondary" onClick={() => openWindow(machine.id)}>
            {say.ownWindow}
          </Button>
        )}
        <Button size="sm" variant="link" onClick={screen.reconnect}>
          {say.reconnect}
        </Button>
        <span className="quiet screen-state" role="status">
          {{ connecting: say.connecting, connected: say.leaveHint, lost: say.lost, closed: say.closed }[screen.state]}
        </span>
      </div>
      <div
        ref={setTarget}
        className="screen"
        role="application"
        aria-label={say.screenOf(machine.name)}
        data-state={screen.state}
      />
      {typing && (
        <TypeTextDialog
          onType={screen.typeText}
          onClose={() => {
            setTyping(false);
            screen.focus();
          }}
          within={frame}
        />
      )}
    </div>
  );
}

function openWindow(id: string) {
  window.open(`/machines/${id}/screen`, `screen-${id}`, 'popup,width=1060,height=860');
}

/** Every key goes to the machine; Ctrl-Alt-Shift is the way out for who has no mouse. */
function useWayOut(frame: HTMLElement | null) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!(event.ctrlKey && event.altKey && event.shiftKey)) return;
      frame?.querySelector<HTMLElement>('.screen-tools button:not(:disabled)')?.focus();
    };
    frame?.addEventListener('keydown', press, { capture: true });
    return () => frame?.removeEventListener('keydown', press, { capture: true });
  }, [frame]);
}
