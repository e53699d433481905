/* Runs until a file is there: "hold FILE [MUTEX]", or its input ends: "hold". Holds a mutex meanwhile, if one is named.
   Says "ready" when it does. Under the names of other programs it stands in for them at work. */
#include <stdio.h>
#include <windows.h>

int main(int count, char **words)
{
    if (count > 2 && !CreateMutexA(NULL, TRUE, words[2]))
        return 1;
    puts("ready");
    fflush(stdout);
    while (count < 2)
        if (getchar() == EOF)
            return 0;
    while (GetFileAttributesA(words[1]) == INVALID_FILE_ATTRIBUTES)
        Sleep(50);
    return 0;
}
