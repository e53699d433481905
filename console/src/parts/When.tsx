// A time, as people say it; exactly in its tooltip.
import { exactly, when } from '../show/time';
import { words } from '../words';

export function When({ at }: { at?: string | null }) {
  if (!at) return <>{words.frame.never}</>;
  return (
    <time dateTime={at} title={exactly(at)}>
      {when(at)}
    </time>
  );
}
