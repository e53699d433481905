// A button that leads to another page: a real link, which can be opened in another tab.
import { Button, type ButtonProps } from '@patternfly/react-core';
import { createLink } from '@tanstack/react-router';
import { forwardRef } from 'react';

const Anchor = forwardRef<HTMLButtonElement, ButtonProps & { href?: string }>(function Anchor(props, ref) {
  return <Button {...props} component="a" ref={ref} />;
});

export const LinkButton = createLink(Anchor);
