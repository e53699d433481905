// Times and spans for people. The exact time stands in the tooltip of every time that is shown (`parts/When`).
import { words } from '../words';

const DAY_MS = 86_400_000;

/** How long ago, for a day; after that the date. */
export function when(at: string, now = Date.now()): string {
  const passed = now - Date.parse(at);
  const { ago } = words.frame;
  if (passed < 60_000) return ago.now;
  if (passed < 3_600_000) return ago.minutes(Math.floor(passed / 60_000));
  if (passed < DAY_MS) return ago.hours(Math.floor(passed / 3_600_000));
  return new Date(at).toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
}

export function exactly(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** A span in the two units that matter. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const { frame } = words;
  if (whole < 60) return frame.seconds(whole);
  if (whole < 3600) return frame.minutes(Math.floor(whole / 60), whole % 60);
  return frame.hours(Math.floor(whole / 3600), Math.floor((whole % 3600) / 60));
}
