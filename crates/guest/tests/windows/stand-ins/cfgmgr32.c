/* The one function of the configuration manager that Wine only pretends to have. It tells of a device by its identifier:
   "GONE" in it is not there, "WAIT" in it wants a restart. */
#include <stdlib.h>
#include <wchar.h>
#include <windows.h>

typedef DWORD(WINAPI *device_id)(DWORD, WCHAR *, ULONG, ULONG);

__declspec(dllexport) DWORD WINAPI CM_Get_DevNode_Status(ULONG *status, ULONG *problem, DWORD device, ULONG flags)
{
    WCHAR id[256] = {0};
    device_id get_id = (device_id)GetProcAddress(LoadLibraryA("setupapi.dll"), "CM_Get_Device_IDW");
    if (!get_id || get_id(device, id, 255, flags))
        abort();
    *status = wcsstr(id, L"WAIT") ? 0x100 /* DN_NEED_RESTART */ : 0;
    *problem = 0;
    return wcsstr(id, L"GONE") ? 0x0d /* CR_NO_SUCH_DEVNODE */ : 0;
}
