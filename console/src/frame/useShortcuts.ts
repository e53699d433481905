// Keys that work on every page, while no field has the focus.
//
//   Ctrl K  palette        /  the page's filter        t  tasks        g l, g i, g m, g t  go to layers, templates, machines, tasks
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

/** A page marks its filter field with this class on it or around it. */
export const FILTER = 'page-filter';

const GO: Record<string, string> = { h: '/', l: '/layers/os', i: '/templates', m: '/machines', c: '/connectors', t: '/tasks', s: '/settings' };
const SECOND_KEY_MS = 1_500;

interface Keys {
  onPalette: () => void;
  onTasks: () => void;
}

export function useShortcuts({ onPalette, onTasks }: Keys) {
  const navigate = useNavigate();
  const wentAt = useRef(-Infinity);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && !inScreen(event)) {
        event.preventDefault();
        onPalette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
      const going = performance.now() - wentAt.current < SECOND_KEY_MS;
      wentAt.current = -Infinity;
      if (going && event.key in GO) {
        event.preventDefault();
        void navigate({ to: GO[event.key] });
      } else if (event.key === 'g') wentAt.current = performance.now();
      else if (event.key === '/') focusFilter(event);
      else if (event.key === 't') onTasks();
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, [navigate, onPalette, onTasks]);
}

function focusFilter(event: KeyboardEvent) {
  const field = document.querySelector<HTMLInputElement>(`.${FILTER} input, input.${FILTER}`);
  if (field === null) return;
  event.preventDefault();
  field.focus();
}

/** Keys belong to a machine while its screen has the focus. */
function inScreen(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.closest('.screen') !== null;
}

function typing(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  const busy = 'input, textarea, select, [contenteditable], [role="dialog"], [role="menu"], .screen';
  return target.closest(busy) !== null;
}
