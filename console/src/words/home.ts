// Words of Home.
export const home = {
  title: 'Home',
  needs: 'Needs you now',
  needsNothing: 'Nothing. What runs is in the task bar below.',
  found: 'What was found',
  checkAgain: 'Look again',
  repository: 'Repository',
  free: (bytes: string) => `${bytes} free`,
  holds: (stored: string, versions: number) =>
    `${stored} stored for ${versions === 1 ? '1 version' : `${versions} versions`}`,
  next: 'Next steps',
  done: 'done',
  steps: {
    connector: 'Test a connector',
    connectorText: 'See line by line whether packaging machines can run.',
    layer: 'Create the first OS layer',
    layerText: 'From a disk you have: raw, qcow2, VHD, VHDX, VMDK or OVA.',
    version: 'Add a version',
    versionText: 'Install updates in a packaging machine, then finalize.',
    export: 'Export it',
    exportText: 'Any version, as a bootable disk for any platform.',
  },
};
