// A disk and a VM from beginning to end, by the connector of Xen Orchestra. usage: node life.mjs URL SR-UUID TEMPLATE-UUID
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { createClient } from 'xen-api'

const [url, srUuid, templateUuid] = process.argv.slice(2)
const SIZE = 4 << 20
const xapi = createClient({ url, auth: { user: 'root', password: 'password' }, allowUnauthorized: true })
await xapi.connect()
await xapi.objectsFetched

// Its cache follows events: waiting for it is how it is used.
const waitFor = async (ref, isSo) => {
  for (;;) {
    const object = xapi.getObject(ref, undefined)
    if (isSo(object)) return object
    await new Promise(resolve => xapi.objects.once('finish', resolve))
  }
}

const sr = xapi.getObjectByUuid(srUuid)
const template = xapi.getObjectByUuid(templateUuid)
assert.equal(template.$type, 'VM')
assert.ok(Object.values(xapi.objects.all).some(object => object.$type === 'host'))

const vdi = await xapi.call('VDI.create', {
  name_label: 'life', SR: sr.$ref, virtual_size: SIZE, type: 'user', sharable: false, read_only: false, other_config: {},
})
const content = randomBytes(SIZE)
const stream = Readable.from([content])
stream.length = SIZE
await xapi.putResource(stream, '/import_raw_vdi/', { query: { vdi, format: 'raw' }, task: await xapi.createTask('import') })

const vm = await xapi.callAsync('VM.clone', template.$ref, 'life')
await xapi.call('VM.provision', vm)
await xapi.call('VBD.create', {
  VM: vm, VDI: vdi, userdevice: 'autodetect', bootable: true, mode: 'RW', type: 'Disk', empty: false, other_config: {},
  qos_algorithm_type: '', qos_algorithm_params: {},
})
await xapi.callAsync('VM.start', vm, false, false)
await waitFor(vm, object => object?.power_state === 'Running')
await assert.rejects(xapi.call('VDI.destroy', vdi), { code: 'VDI_IN_USE' })
await assert.rejects(xapi.call('VM.clean_shutdown', vm), { code: 'VM_LACKS_FEATURE' })
await xapi.callAsync('VM.hard_shutdown', vm)
await waitFor(vm, object => object?.power_state === 'Halted')

const snapshot = await xapi.call('VDI.snapshot', vdi)
const exported = await xapi.getResource('/export_raw_vdi/', {
  query: { vdi: snapshot, format: 'raw' }, task: await xapi.createTask('export'),
})
const got = Buffer.from(await exported.body.arrayBuffer())
await exported.task
assert.ok(got.equals(content), 'what came back is not what was sent')

await xapi.call('VM.destroy', vm)
await waitFor(vm, object => object === undefined)
for (const disk of [snapshot, vdi]) {
  await xapi.call('VDI.destroy', disk)
}
await xapi.disconnect()
console.log('life.mjs: all of it worked')
process.exit(0)
