// The lines of a test: what was looked at, what was found, what to do, and a button where one value mends it.
import { Button } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import ExclamationTriangleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import type { Check, Fix } from '../api/wire';
import { words } from '../words';

const ICONS = { ok: CheckCircleIcon, warning: ExclamationTriangleIcon, failed: ExclamationCircleIcon };

interface Props {
  checks: Check[];
  onFix?: (fix: Fix) => void;
}

export function CheckLines({ checks, onFix }: Props) {
  return (
    <ul className="checks">
      {checks.map((check, index) => {
        const Icon = ICONS[check.outcome];
        return (
          // Two lines may have the same name; their order is what tells them apart.
          <li key={`${index}-${check.name}`} className={`check check-${check.outcome}`}>
            <span className="check-icon" title={words.connectors.outcome[check.outcome]}>
              <Icon />
              <span className="pf-v6-screen-reader">{words.connectors.outcome[check.outcome]}: </span>
            </span>
            <div>
              <strong>{check.name}</strong>
              <p>{check.detail}</p>
              {check.hint && <p className="quiet">{check.hint}</p>}
              {check.fix && onFix && <FixButton fix={check.fix} onFix={onFix} />}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

function FixButton({ fix, onFix }: { fix: Fix; onFix: (fix: Fix) => void }) {
  return (
    <div className="check-fix">
      <span>{fix.question}</span>
      <Button size="sm" variant="secondary" onClick={() => onFix(fix)}>
        {words.connectors.acceptFix}
      </Button>
    </div>
  );
}
