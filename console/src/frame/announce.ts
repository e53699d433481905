// Tells screen readers that another page has come, and moves the focus to its title when the old page took it along.
import { words } from '../words';

/** The live region's id; `Frame` renders it. */
export const ANNOUNCER = 'route-announcer';

/** Called by a page's title when it appears. */
export function arrived(title: string, heading: HTMLElement | null) {
  const region = document.getElementById(ANNOUNCER);
  if (region) region.textContent = words.frame.arrived(title);
  const focused = document.activeElement;
  const lost = focused === null || focused === document.body || focused.closest('nav') !== null;
  if (lost) heading?.focus({ preventScroll: true });
}
