// Where a person is sent after signing in.

/** Only addresses of this console: whoever made a link to the sign-in page must not choose where it ends. */
export function safeReturn(to: string | undefined): string {
  return to !== undefined && /^\/(?![/\\])/.test(to) ? to : '/';
}
