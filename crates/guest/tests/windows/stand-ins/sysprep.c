/* Stands in for Sysprep: notes its words, and whether a service of ours is still there; ends as C:\sysprep-exit says. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    HKEY key;
    const char *sets[] = {"CurrentControlSet", "ControlSet001", "ControlSet002"};
    FILE *notes = fopen("C:\\sysprep-calls", "a");
    int exit = 0;
    const char *words = GetCommandLineA();
    fprintf(notes, "%s", words[0] == '"' ? strchr(words + 1, '"') + 1 : strchr(words, ' '));
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "System\\%s\\Services\\shale-sysprep", sets[i]);
        if (!RegOpenKeyExA(HKEY_LOCAL_MACHINE, path, 0, KEY_READ, &key)) fprintf(notes, " with %s", sets[i]);
    }
    fprintf(notes, "\n");
    fclose(notes);
    FILE *wanted = fopen("C:\\sysprep-exit", "r");
    if (wanted) {
        if (fscanf(wanted, "%d", &exit) != 1) exit = 99;
        fclose(wanted);
    }
    return exit;
}
