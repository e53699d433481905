// The next page of a list that is shown page by page; nothing where there is none.
import { Button } from '@patternfly/react-core';
import { words } from '../words';

interface Props {
  of: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
}

export function MoreButton({ of }: Props) {
  if (!of.hasNextPage) return null;
  return (
    <Button variant="link" isLoading={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
      {words.frame.showMore}
    </Button>
  );
}
