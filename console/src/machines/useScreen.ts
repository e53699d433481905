// A machine's screen over our WebSocket, drawn by noVNC into an element.
//
//   connecting ──▶ connected ──▶ lost ──(1 s, 2 s, … 15 s)──▶ connecting
//                                  └──(machine off, too many tries)──▶ closed ──(reconnect)──▶ connecting
import type RFB from '@novnc/novnc';
import { useCallback, useEffect, useRef, useState } from 'react';
import { keysOf, SHIFT_LEFT } from './keys';

const FIRST_TRY_MS = 1_000;
const LAST_TRY_MS = 15_000;
const TRIES = 8;
const KEY_MS = 12;

export type ScreenState = 'connecting' | 'connected' | 'lost' | 'closed';

export interface Screen {
  state: ScreenState;
  reconnect: () => void;
  ctrlAltDel: () => void;
  typeText: (text: string) => Promise<void>;
  focus: () => void;
}

/** `target` is the element to draw into, as soon as there is one. */
export function useScreen(id: string, target: HTMLElement | null): Screen {
  const rfb = useRef<RFB | null>(null);
  const [state, setState] = useState<ScreenState>('connecting');
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (target === null) return undefined;
    let stopped = false;
    let tries = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const connect = async () => {
      const { default: Rfb } = await import('@novnc/novnc');
      if (stopped) return;
      const shown = new Rfb(target, `${window.location.origin.replace(/^http/, 'ws')}/api/v1/machines/${id}/screen`);
      shown.scaleViewport = true;
      shown.background = 'transparent';
      rfb.current = shown;
      shown.addEventListener('connect', () => {
        tries = 0;
        setState('connected');
      });
      shown.addEventListener('disconnect', () => {
        rfb.current = null;
        if (stopped) return;
        tries += 1;
        if (tries > TRIES) return setState('closed');
        setState('lost');
        timer = setTimeout(() => void connect(), Math.min(FIRST_TRY_MS * 2 ** (tries - 1), LAST_TRY_MS));
      });
    };
    void connect();
    return () => {
      stopped = true;
      clearTimeout(timer);
      rfb.current?.disconnect();
      rfb.current = null;
      setState('connecting');
    };
  }, [id, target, round]);

  return {
    state,
    reconnect: useCallback(() => setRound((old) => old + 1), []),
    ctrlAltDel: useCallback(() => rfb.current?.sendCtrlAltDel(), []),
    focus: useCallback(() => rfb.current?.focus(), []),
    typeText: useCallback(async (text: string) => {
      for (const { keysym, shift } of keysOf(text)) {
        const screen = rfb.current;
        if (screen === null) return;
        if (shift) screen.sendKey(SHIFT_LEFT, 'ShiftLeft', true);
        screen.sendKey(keysym, null);
        if (shift) screen.sendKey(SHIFT_LEFT, 'ShiftLeft', false);
        // A guest that is being typed at faster than a person could loses keys.
        await new Promise((done) => setTimeout(done, KEY_MS));
      }
    }, []),
  };
}
