/* A class installer that lets no device be removed, as a driver's own may. */
#include <windows.h>

__declspec(dllexport) DWORD WINAPI Refuse(UINT function, void *devices, void *device)
{
    (void)devices, (void)device;
    return function == 5 /* DIF_REMOVE */ ? ERROR_ACCESS_DENIED : 0xe000020e /* ERROR_DI_DO_DEFAULT */;
}
