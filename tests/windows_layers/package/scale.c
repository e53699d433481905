/* The library that both packages share. */
__declspec(dllexport) int of(int number) {
    return number * 6;
}
