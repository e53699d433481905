/* Stands in for powershell.exe: prints its words, says something on the other output too, and ends as its script says, which is
 * the one line `exit N`. */
#include <stdio.h>
#include <string.h>

int main(int count, char **words)
{
    int code = -1;
    FILE *script;

    for (int at = 1; at < count; at++)
        printf("%s%c", words[at], at + 1 < count ? ' ' : '\n');
    fflush(stdout);
    fputs("on both outputs\n", stderr);
    script = fopen(words[count - 1], "r");
    if (script == NULL || fscanf(script, "exit %d", &code) != 1)
        return -1;
    return code;
}
