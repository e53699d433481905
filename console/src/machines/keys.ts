// Text as keys of a US keyboard: what the guest sees is what a person at such a keyboard would have pressed. Pure.

export interface Key {
  /** An X11 keysym. */
  keysym: number;
  shift: boolean;
}

const ENTER = 0xff0d;
const TAB = 0xff09;
export const SHIFT_LEFT = 0xffe1;
const SHIFTED = new Set('~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ');

/** The keys that write `text`. Characters that are on no key are sent as themselves; the guest may ignore them. */
export function keysOf(text: string): Key[] {
  return Array.from(text.replaceAll('\r\n', '\n'), (character) => ({
    keysym: keysymOf(character),
    shift: SHIFTED.has(character),
  }));
}

function keysymOf(character: string): number {
  if (character === '\n') return ENTER;
  if (character === '\t') return TAB;
  const code = character.codePointAt(0) ?? 0;
  const latin = (code >= 0x20 && code <= 0x7e) || (code >= 0xa0 && code <= 0xff);
  return latin ? code : 0x0100_0000 | code;
}
