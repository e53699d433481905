// The versions of a layer as a line with branches: what came from what.
import { Link } from '@tanstack/react-router';
import type { Layer, Version } from '../api/wire';
import { VersionStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { words } from '../words';
import { lanes } from './lanes';

const { layers: say } = words;
const LANE = 22;
const ROW = 56;
const MIDDLE = ROW / 2;
const DOT = 6;
const LANES_SHOWN = 8;

interface Props {
  layer: Layer;
  versions: Version[];
  chosen?: string;
}

export function VersionLine({ layer, versions, chosen }: Props) {
  const lane = lanes(versions).map((one) => Math.min(one, LANES_SHOWN - 1));
  const width = (Math.max(0, ...lane) + 1) * LANE;
  return (
    <section className="version-line" aria-labelledby="version-line-title">
      <h2 id="version-line-title">{say.versionLine}</h2>
      <p className="quiet">{say.versionLineHelp}</p>
      <div className="version-line-body">
        <Branches versions={versions} lane={lane} width={width} />
        <ol>
          {versions.map((version) => (
            <li key={version.id} className={version.id === chosen ? 'version version-chosen' : 'version'}>
              <Link
                to="/layers/$kind/$id"
                params={{ kind: layer.kind, id: layer.id }}
                search={{ version: version.id }}
                replace
                aria-current={version.id === chosen || undefined}
              >
                <span className="version-name">{version.name}</span>
                <VersionStateLabel state={version.state} />
                {version.id === layer.newest_deployable && <span className="quiet">{say.newestMark}</span>}
                <span className="quiet version-when">
                  {say.from(origin(version, versions))} · <When at={version.created_at} />
                </span>
              </Link>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

/** What a version was made from: another version's name, a disk, or a version that is gone. */
export function origin(version: Version, versions: Version[]): string {
  if (!version.base_version_id) return version.os_version_id ? say.firstDelta : say.firstVersion;
  return versions.find((one) => one.id === version.base_version_id)?.name ?? say.gone;
}

function Branches({ versions, lane, width }: { versions: Version[]; lane: number[]; width: number }) {
  const row = new Map(versions.map((version, index) => [version.id, index]));
  const x = (index: number) => (lane[index] ?? 0) * LANE + LANE / 2;
  const y = (index: number) => index * ROW + MIDDLE;
  return (
    <svg className="branches" width={width} height={versions.length * ROW} aria-hidden focusable={false}>
      {versions.map((version, index) => {
        const base = version.base_version_id ? row.get(version.base_version_id) : undefined;
        if (base === undefined) return null;
        const [fromX, fromY, toX, toY] = [x(base), y(base), x(index), y(index)];
        const bend = fromX === toX ? '' : `C ${fromX} ${fromY + MIDDLE} ${toX} ${fromY + 4} ${toX} ${fromY + ROW}`;
        return <path key={version.id} d={`M ${fromX} ${fromY} ${bend} L ${toX} ${toY}`} />;
      })}
      {versions.map((version, index) => (
        <circle key={version.id} className={`dot dot-${version.state}`} cx={x(index)} cy={y(index)} r={DOT} />
      ))}
    </svg>
  );
}
