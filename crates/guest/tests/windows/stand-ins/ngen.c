/* Prints what the native image generator is documented to print. Its queue's state is the text of the file "state" beside
   it; it notes how it was called in the file "calls". Making the queued images empties the queue: the state becomes
   "stopped", and the flag that there is work is taken down; it takes as long as a file "busy" is beside it. With a file "pauses"
   beside it the state becomes "started and paused" instead, until it is told to continue. It fails in the end, as the real one does
   when an assembly could not be compiled. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static const char *SERVICE = "SOFTWARE\\Microsoft\\.NETFramework\\v2.0.50727\\NGenService\\ListenedState";

static FILE *beside(const char *name, const char *mode)
{
    char path[MAX_PATH];
    GetModuleFileNameA(NULL, path, sizeof path);
    strcpy(strrchr(path, '\\') + 1, name);
    return fopen(path, mode);
}

static void become(const char *state)
{
    FILE *file = beside("state", "w");
    fputs(state, file);
    fclose(file);
}

int main(int count, char **words)
{
    FILE *file = beside("calls", "a");
    for (int at = 1; at < count; at++)
        fprintf(file, "%s%s", words[at], at + 1 < count ? " " : "\n");
    fclose(file);
    puts("Microsoft (R) CLR Native Image Generator - Version 4.8.4161.0");
    puts("Copyright (c) Microsoft Corporation.  All rights reserved.\n");
    if (count == 3 && !strcmp(words[2], "continue")) {
        become("stopped");
        return 0;
    }
    if (count == 3 && !strcmp(words[1], "queue")) {
        char state[64] = "stopped";
        if ((file = beside("state", "r")) != NULL)
            fgets(state, sizeof state, file);
        printf("The .NET Runtime Optimization Service is %s.\n", state);
        return 0;
    }
    if (count == 2 && !strcmp(words[1], "executeQueuedItems")) {
        DWORD none = 0;
        puts("1>    Preparing the queued assemblies ...");
        fflush(stdout);
        while ((file = beside("busy", "r")) != NULL) {
            fclose(file);
            Sleep(50);
        }
        RegSetKeyValueA(HKEY_LOCAL_MACHINE, SERVICE, "RootstoreDirty", REG_DWORD, &none, sizeof none);
        become((file = beside("pauses", "r")) != NULL ? "started and paused" : "stopped");
        if (file != NULL)
            fclose(file);
    }
    puts("1>    Compiling assembly C:\\Windows\\a.dll (CLR v4.0.30319) ...");
    puts("2>    Compiling assembly C:\\Windows\\b.dll (CLR v4.0.30319) ...");
    puts("2>    Failed to compile: C:\\Windows\\b.dll");
    return 1;
}
