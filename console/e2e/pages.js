// Every page of the console, on a server that has something to show on each.
import { heading } from './browser.js';

/** Addresses by a name that is fit for a file. */
export function pages({ layer, machine, task, connector }) {
  return {
    home: '/',
    layers: '/layers/os',
    'layers-table': '/layers/os?view=table',
    'layers-none': '/layers/os?q=nothing-like-it',
    layer: `/layers/os/${layer}`,
    'platform-layers': '/layers/platform',
    'app-layers': '/layers/app',
    'create-layer': '/create-os-layer',
    'add-version': `/layers/os/${layer}/add-version`,
    machines: '/machines',
    machine: `/machines/${machine}`,
    'machine-files': `/machines/${machine}?tab=files`,
    'machine-serial': `/machines/${machine}?tab=serial`,
    'machine-screen': `/machines/${machine}/screen`,
    connectors: '/connectors',
    'connector-new': '/connectors/new',
    connector: `/connectors/${connector}`,
    schedules: '/schedules',
    tasks: '/tasks',
    'tasks-open': '/tasks?state=open',
    task: `/tasks/${task}`,
    audit: '/audit',
    repository: '/settings/repository',
    users: '/settings/users',
    tokens: '/settings/tokens',
    certificate: '/settings/certificate',
    nowhere: '/nowhere',
  };
}

/** Pages of image templates and images, and the wizards that lead to them. */
export function imagePages(template) {
  return {
    templates: '/templates',
    template: `/templates/${template}`,
    'template-plan': `/templates/${template}/plan`,
    'edit-template': `/templates/${template}/edit?step=apps`,
    'create-template': '/create-template',
    images: '/images',
    'create-app-layer': '/create-layer/app',
    'create-platform-layer': '/create-layer/platform',
  };
}

/** Waits until a page has all that it shows at first. */
export async function settled(page) {
  await heading(page, /.+/);
  await page.waitForFunction(() => document.querySelector('[role=progressbar][aria-label="Loading…"]') === null);
  await page.waitForLoadState('domcontentloaded');
  await page.waitForTimeout(400);
}
