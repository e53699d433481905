"""A disk and a VM from beginning to end, by the official XenAPI package. usage: life.py URL SR TEMPLATE"""

import http.client
import os
import sys
import urllib.parse

import XenAPI

url, sr, template = sys.argv[1:]
session = XenAPI.Session(url, ignore_ssl=True)
session.login_with_password("root", "password", "1.0", "life.py")
api = session.xenapi
events = getattr(api.event, "from")
SIZE = 4 << 20


def transfer(method, path, body=None, **query):
    """One HTTP transfer under a task of its own; gives the body. Only the task tells whether it worked."""
    task = api.task.create("transfer", "")
    query = urllib.parse.urlencode({"session_id": session.handle, "task_id": task, **query})
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    connection.request(method, f"{path}?{query}", body=body)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, answer.status
    token = ""
    while api.task.get_status(task) == "pending":
        token = events([f"task/{task}"], token, 10.0)["token"]
    assert api.task.get_status(task) == "success", api.task.get_error_info(task)
    api.task.destroy(task)
    return content


pool = list(api.pool.get_all_records().values())[0]
assert pool["master"] in api.host.get_all()
assert api.VM.get_record(template)["is_a_template"]
assert template in api.VM.get_all_records_where('field "is_a_template" = "true"')

vdi = api.VDI.create({
    "name_label": "life", "SR": sr, "virtual_size": str(SIZE), "type": "user", "sharable": False, "read_only": False,
    "other_config": {},
})
content = os.urandom(SIZE)
transfer("PUT", "/import_raw_vdi", content, vdi=vdi)

vm = api.VM.clone(template, "life")
api.VM.provision(vm)
api.VM.add_to_other_config(vm, "owner", "life.py")
device = api.VM.get_allowed_VBD_devices(vm)[0]
api.VBD.create({
    "VM": vm, "VDI": vdi, "userdevice": device, "bootable": True, "mode": "RW", "type": "Disk", "empty": False,
    "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
})
token = events(["vm"], "", 5.0)["token"]
task = getattr(api.Async.VM, "start")(vm, False, False)
state = ""
while state != "Running":
    batch = events([f"vm/{vm}"], token, 10.0)
    assert batch["events"], "nothing was heard of the VM's start"
    token = batch["token"]
    state = batch["events"][-1]["snapshot"]["power_state"]
try:
    api.VDI.destroy(vdi)
    raise AssertionError("a disk in use was destroyed")
except XenAPI.Failure as failure:
    assert failure.details[0] == "VDI_IN_USE", failure.details
api.VM.shutdown(vm)
assert api.VM.get_power_state(vm) == "Halted"
snapshot = api.VDI.snapshot(vdi)
assert transfer("GET", "/export_raw_vdi", vdi=snapshot) == content

api.VM.destroy(vm)
for disk in (snapshot, vdi):
    api.VDI.destroy(disk)
api.task.destroy(task)
assert vm not in api.VM.get_all() and not api.VDI.get_by_name_label("life")
session.logout()
print("life.py: all of it worked")
