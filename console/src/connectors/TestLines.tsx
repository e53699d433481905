// What a test found, and the button that sets a value where one would mend it.
import { Alert } from '@patternfly/react-core';
import type { ConnectorTest, Fix } from '../api/wire';
import { CheckLines } from '../parts/CheckLines';
import { ProblemAlert } from '../parts/ProblemAlert';
import { words } from '../words';

const { connectors: say } = words;

interface Props {
  test: { data?: ConnectorTest; error: unknown; isPending: boolean };
  onFix?: (fix: Fix) => void;
}

export function TestLines({ test, onFix }: Props) {
  return (
    <div aria-live="polite" className="test-lines">
      {test.isPending && <p className="quiet">{say.testing}</p>}
      <ProblemAlert error={test.error} />
      {test.data && (
        <>
          <Alert
          component="p"
            isInline
            isPlain
            variant={test.data.ok ? 'success' : 'danger'}
            title={test.data.ok ? say.testOk : say.testFailed}
          />
          <CheckLines checks={test.data.checks} onFix={onFix} />
        </>
      )}
    </div>
  );
}
