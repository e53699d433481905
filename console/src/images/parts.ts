// The parts of an image template in one list.
import type { Template, TemplatePart } from '../api/wire';

/** The highest priority first: the platform layer, app layers from the newest on, the OS layer. */
export function partsOf({ os, apps, platform }: Pick<Template, 'os' | 'apps' | 'platform'>): TemplatePart[] {
  return [...(platform ? [platform] : []), ...apps.toReversed(), os];
}
