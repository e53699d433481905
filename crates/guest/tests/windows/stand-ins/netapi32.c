/* Tells of the membership of a domain, which machines of Wine never have: of the one whose name is in the file C:\\domain. */
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

__declspec(dllexport) DWORD WINAPI NetGetJoinInformation(const WCHAR *server, WCHAR **name, int *status)
{
    FILE *file = fopen("C:\\domain", "r");
    char text[64] = "WORKGROUP";

    if (server != NULL)
        abort();
    *status = file == NULL ? 2 /* NetSetupWorkgroupName */ : 3 /* NetSetupDomainName */;
    if (file != NULL && fgets(text, sizeof text, file) == NULL)
        abort();
    if (file != NULL)
        fclose(file);
    *name = calloc(sizeof text, sizeof **name);
    for (int at = 0; text[at]; at++)
        (*name)[at] = text[at];
    return 0;
}

__declspec(dllexport) DWORD WINAPI NetApiBufferFree(void *buffer)
{
    free(buffer);
    return 0;
}
