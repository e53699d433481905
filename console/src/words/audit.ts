// Words of the audit.
export const audit = {
  title: 'Audit',
  lead: 'Who did what, when, and why. Entries are only ever added.',
  nothing: 'Nothing has been done yet',
  nothingText: 'Create an OS layer, and it is the first entry here.',
  notFound: 'No entry matches',
  notFoundText: 'Only what has been read so far is searched: show more, or change the filter.',
  filter: 'Filter by user, action, object or comment',
  when: 'When',
  who: 'Who',
  action: 'Action',
  object: 'Object',
  comment: 'Comment',
  table: 'Audit entries',
};
