// Shows the notices, read out as they come.
import { Alert, AlertActionCloseButton, AlertGroup } from '@patternfly/react-core';
import { dismiss, useNotices } from './notices';

export function Notices() {
  return (
    <AlertGroup isToast isLiveRegion>
      {useNotices().map((notice) => (
        <Alert
          component="p"
          key={notice.key}
          variant={notice.variant}
          title={notice.text}
          timeout={notice.variant === 'success' ? 6_000 : 20_000}
          onTimeout={() => dismiss(notice.key)}
          actionClose={<AlertActionCloseButton onClose={() => dismiss(notice.key)} />}
        />
      ))}
    </AlertGroup>
  );
}
