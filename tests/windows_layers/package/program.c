/* A program of the package: says what it was set to, and what the library that both packages share makes of seven. */
#include <stdio.h>
#include <windows.h>

int main(void) {
    char setting[100] = "", library[300];
    DWORD size = sizeof setting;
    RegGetValueA(HKEY_LOCAL_MACHINE, "Software\\Instruments\\" NAME, "Setting", RRF_RT_REG_SZ, NULL, setting, &size);
    ExpandEnvironmentStringsA("%CommonProgramFiles%\\Instruments\\scale.dll", library, sizeof library);
    HMODULE scale = LoadLibraryA(library);
    if (!scale)
        return 3;
    int (*of)(int) = (int (*)(int))(void *)GetProcAddress(scale, "of");
    printf("%s: %s, %d\n", NAME, setting, of(7));
    return 0;
}
