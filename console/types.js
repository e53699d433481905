// Writes src/api/schema.ts from ../openapi.json, and from contract.json what the server does not offer yet.
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url)));
const server = read('../openapi.json');
const later = read('contract.json');
server.paths = { ...later.paths, ...server.paths };
server.components.schemas = { ...later.schemas, ...server.components.schemas };
writeFileSync(new URL('src/api/schema.ts', import.meta.url), astToString(await openapiTS(server)));
