// What is outstanding in a packaging machine: each finding in the server's words, with what it was seen by and what to do.
import { Alert } from '@patternfly/react-core';
import type { Finding, MachineCheck } from '../api/wire';
import { words } from '../words';

const { tasks: say } = words;

interface Props {
  findings: Finding[];
  /** The check they are of, when one was asked for here. */
  check?: MachineCheck;
}

export function Findings({ findings, check }: Props) {
  const variant = check?.result === 'clean' ? 'success' : 'info';
  return (
    <>
      {check && (
        <Alert component="p" isInline variant={variant} title={check.text} />
      )}
      {findings.length > 0 && (
        <ul className="findings" aria-label={say.findings}>
          {findings.map((finding) => (
            <li key={finding.code}>
              <Alert
                component="p"
                isInline
                isPlain
                variant={finding.severity === 'blocks' ? 'danger' : 'warning'}
                title={finding.message}
              >
                <ul className="finding-details">
                  {finding.details.map((detail) => (
                    <li key={detail}>{detail}</li>
                  ))}
                </ul>
                <p>{finding.advice}</p>
              </Alert>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
