// The upper edge of the task bar: dragged, or moved by the arrow keys.
import type { KeyboardEvent, PointerEvent } from 'react';
import { words } from '../words';
import { LEAST_HEIGHT, mostHeight, USUAL_HEIGHT, type Drawer } from './useDrawer';

const KEY_STEP = 40;

export function ResizeHandle({ drawer }: { drawer: Drawer }) {
  const height = drawer.height ?? USUAL_HEIGHT;
  const press = (event: KeyboardEvent) => {
    const step = { ArrowUp: KEY_STEP, ArrowDown: -KEY_STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    drawer.resize(height + step);
  };
  const grab = (event: PointerEvent<HTMLDivElement>) => {
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (moved) => drawer.resize(window.innerHeight - moved.clientY);
    handle.onlostpointercapture = () => (handle.onpointermove = null);
  };
  return (
    // A separator that can be moved is a control (WAI-ARIA, window splitter); the lint does not know.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      className="task-bar-handle"
      role="separator"
      aria-orientation="horizontal"
      aria-label={words.tasks.resize}
      aria-valuemin={LEAST_HEIGHT}
      aria-valuemax={mostHeight()}
      aria-valuenow={height}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      onKeyDown={press}
      onPointerDown={grab}
    />
  );
}
