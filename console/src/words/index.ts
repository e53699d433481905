// Every English word the console shows, by area. Words that the server sends are shown as they come.
import { audit } from './audit';
import { connectors } from './connectors';
import { frame } from './frame';
import { home } from './home';
import { images } from './images';
import { layers } from './layers';
import { machines } from './machines';
import { schedules } from './schedules';
import { session } from './session';
import { settings } from './settings';
import { tasks } from './tasks';
import { wizard } from './wizard';

export const words = { audit, connectors, frame, home, images, layers, machines, schedules, session, settings, tasks, wizard };
