// Where each version stands in the line of versions.
//
//   ●   1.0          lane 0
//   ●   1.1          the first version made from 1.0 goes on in its lane
//   │ ● 1.0-patched  the second one opens a lane of its own
//   ●   1.2
import type { Version } from '../api/wire';

/** The lane of each version, oldest first. A version goes on in its base's lane if it is the first to do so. */
export function lanes(versions: Pick<Version, 'id' | 'base_version_id'>[]): number[] {
  const laneOf = new Map<string, number>();
  const continued = new Set<string>();
  let next = 0;
  return versions.map(({ id, base_version_id: base }) => {
    const inherited = base ? laneOf.get(base) : undefined;
    const goesOn = base && inherited !== undefined && !continued.has(base);
    const lane = goesOn ? inherited : next++;
    if (goesOn) continued.add(base);
    laneOf.set(id, lane);
    return lane;
  });
}
