// Tells screen readers that another page has come, and moves the focus to its title when the old page took it along.
import { words } from '../words';

/** The live region's id; `Frame` renders it. */
export const ANNOUNCER = 'route-announcer';

let isFirst = true;

/** Called by a page's title when it appears. The first page is announced by the browser, and begins at its top. */
export function arrived(title: string, heading: HTMLElement | null) {
  if (isFirst) {
    isFirst = false;
    return;
  }
  const region = document.getElementById(ANNOUNCER);
  if (region) region.textContent = words.frame.arrived(title);
  const focused = document.activeElement;
  const lost = focused === null || focused === document.body || focused.closest('nav') !== null;
  if (lost) heading?.focus({ preventScroll: true });
}
