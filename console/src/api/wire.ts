// The wire types that pages speak of, under their plain names. All of them are generated from openapi.json.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Action = Schemas['Action'];
export type AddVersion = Schemas['AddVersion'];
export type AuditEntry = Schemas['AuditEntry'];
export type Certificate = Schemas['Certificate'];
export type Check = Schemas['Check'];
export type Connector = Schemas['Connector'];
export type ConnectorChoice = Schemas['Choice'];
export type ConnectorField = Schemas['ConnectorField'];
export type ConnectorKind = Schemas['ConnectorKind'];
export type ConnectorTest = Schemas['ConnectorTest'];
export type Event = Schemas['Event'];
export type ExportFormat = Schemas['ExportVersion']['format'];
export type Finding = Schemas['Finding'];
export type Fix = Schemas['Fix'];
export type EditTemplate = Schemas['EditTemplate'];
export type Image = Schemas['Image'];
export type Layer = Schemas['Layer'];
export type LayerSort = Schemas['LayerSort'];
export type LayerKind = Schemas['LayerKind'];
export type Machine = Schemas['Machine'];
export type MachineCheck = Schemas['MachineCheck'];
export type MachineFile = Schemas['MachineFile'];
export type NewLayer = Schemas['NewLayer'];
export type NewSchedule = Schemas['NewSchedule'];
export type NewTemplate = Schemas['NewTemplate'];
export type PublishImage = Schemas['PublishImage'];
export type Packaging = Schemas['Packaging'];
export type Plan = Schemas['Plan'];
export type PlanPath = Schemas['PlanPath'];
export type Power = Schemas['Power'];
export type Problem = Schemas['Problem'];
export type Repository = Schemas['Repository'];
export type Schedule = Schemas['Schedule'];
export type ScheduledVersion = Schemas['ScheduledVersion'];
export type ScheduleRun = Schemas['ScheduleRun'];
export type Script = Schemas['Script'];
export type Session = Schemas['Session'];
export type Step = Schemas['Step'];
export type Task = Schemas['Task'];
export type TaskLogEntry = Schemas['TaskLogEntry'];
export type TaskState = Task['state'];
export type Template = Schemas['Template'];
export type TemplatePart = Schemas['TemplatePart'];
export type Token = Schemas['Token'];
export type Unattended = Schemas['Unattended'];
export type Upload = Schemas['Upload'];
export type User = Schemas['User'];
export type Role = User['role'];
export type Version = Schemas['Version'];
export type VersionState = Schemas['VersionState'];

/** Settings of a connector: what they mean is the kind's business. */
export type Settings = Record<string, unknown>;
