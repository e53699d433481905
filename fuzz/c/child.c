/* One run of shale-files: a child of the fuzz target, which tells by shared memory what became of it.
 *
 *   target ──fork──▶ child: files_serve() on descriptor 0 ──▶ end
 *      ▲               │
 *      └── verdict ────┤  shared: counters of steps (__sancov_cntrs), verdict, places in libraries that crashed
 *
 * Why a child: the C keeps its state in globals and ends by _exit, as a program may that serves one disk; and the libraries crash on
 * damaged disks. In the product that is a failed step with a clear text, so here it only ends the child. */
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As shale-files has it for all its memory, and its statuses. */
#define MEMORY (256u << 20)
enum { OUT_OF_MEMORY = 3, BAD_MESSAGE = 4, CRASHED = 77 };
/* Far more than any request takes on these small disks. */
#define SECONDS 10
#define SITES 512

enum verdict { NONE, CONTAINED, OURS, TOO_LONG, TOO_MUCH, CONFUSED };

static struct {
    volatile int verdict;
    char sites[SITES][96];
} *shared;

static int is_child, is_ending;

extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];
extern char __start_shale_files[], __stop_shale_files[];
void __sanitizer_set_death_callback(void (*callback)(void));
void __sanitizer_print_stack_trace(void);
int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *, size_t), void (*freed)(const volatile void *));
size_t __sanitizer_get_current_allocated_bytes(void);
void files_serve(void);

/* What is too large is refused as it would be in the program. Little is kept of what was freed: every run is a process. */
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=256:allocator_may_return_null=1:quarantine_size_mb=4:handle_sigill=0:handle_abort=0:detect_stack_use_after_return=0";
}

/* Has a child's steps counted where libFuzzer looks. What else lies on the first and last page is not changed by a child. */
static int share_counters(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)__start___sancov_cntrs & ~(page - 1), end = ((uintptr_t)__stop___sancov_cntrs + page - 1) & ~(page - 1);
    uint8_t *copy = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return -1;
    for (uintptr_t at = start; at < end; at++) /* Not by memcpy, which is watched. */
        copy[at - start] = *(volatile uint8_t *)at;
    return mremap(copy, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) == MAP_FAILED ? -1 : 0;
}

/* In place of the C library's, which has the sanitizer lock and unlock, and so copy, megabytes of tables: that took most of each run. */
pid_t fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* Once, in the target. 0: done. */
int child_prepare(void)
{
    void *frames[4];
    backtrace(frames, 4); /* Loads what it needs now. */
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : share_counters();
}

/* What became of the last child, once. */
int child_verdict(void)
{
    int verdict = shared->verdict;
    shared->verdict = NONE;
    return verdict;
}

/* Which library the innermost frame lies in that is neither of the C library nor of a sanitizer; NULL: in shale-files. */
static const char *library_of(void **frames, int count, Dl_info *about)
{
    for (int i = 0; i < count; i++) {
        char *at = frames[i];
        if (at >= __start_shale_files && at < __stop_shale_files)
            return NULL;
        if (dladdr(at, about) && about->dli_fname && (strstr(about->dli_fname, "libext2fs") || strstr(about->dli_fname, "libntfs-3g")))
            return about->dli_fname;
    }
    return NULL;
}

/* Ends the child where a library is at fault, telling once for each function. */
static void contain(const char *what)
{
    void *frames[64];
    Dl_info about;
    int count = backtrace(frames, 64);
    const char *library = library_of(frames, count, &about);
    if (!library)
        return;
    char site[sizeof *shared->sites];
    snprintf(site, sizeof site, "%s: %s in %s", what, about.dli_sname ? about.dli_sname : "a function", strrchr(library, '/') + 1);
    for (int i = 0; i < SITES && strcmp(shared->sites[i], site); i++) {
        if (shared->sites[i][0])
            continue;
        strcpy(shared->sites[i], site);
        fprintf(stderr, "contained: %s\n", site);
        if (getenv("SHALE_FUZZ_TRACE"))
            __sanitizer_print_stack_trace();
        break;
    }
    shared->verdict = CONTAINED;
    _exit(CRASHED);
}

/* Called by the sanitizer before it tells what it found, in any process. */
void __asan_on_error(void)
{
    if (!is_child)
        return;
    is_ending = 1;
    contain("crash");
    shared->verdict = OURS;
}

static void on_signal(int number)
{
    is_ending = 1;
    if (number != SIGXCPU)
        contain("crash");
    fprintf(stderr, "shale-files: signal %d\n", number);
    __sanitizer_print_stack_trace();
    shared->verdict = number == SIGXCPU ? TOO_LONG : OURS;
    _exit(CRASHED);
}

/* The program's memory is bounded in all. A library that takes it all is ended; shale-files itself should know when to stop. */
static void on_memory(const volatile void *made, size_t length)
{
    (void)made, (void)length;
    if (is_ending || __sanitizer_get_current_allocated_bytes() < MEMORY)
        return;
    is_ending = 1;
    contain("memory");
    __sanitizer_print_stack_trace();
    shared->verdict = TOO_MUCH;
    _exit(OUT_OF_MEMORY);
}

/* In place of _exit in shale-files. All it is told here is well formed: only the disk can have confused it. */
_Noreturn void child_exit(int status)
{
    if (status == BAD_MESSAGE) {
        __sanitizer_print_stack_trace();
        shared->verdict = CONFUSED;
    }
    _exit(status);
}

static void on_free(const volatile void *freed)
{
    (void)freed;
}

/* In the child, with the socket at descriptor 0: never comes back. */
void child_run(void)
{
    static const int signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGXCPU}, others[] = {SIGALRM, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    struct rlimit limit = {SECONDS, SECONDS + 2};
    is_child = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent waits for an exec that never comes until its pipe is closed. */
    close_range(3, ~0u, 0);
    __sanitizer_set_death_callback(NULL);
    __sanitizer_install_malloc_and_free_hooks(on_memory, on_free);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
        sigaction(signals[i], &action, NULL);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        signal(others[i], SIG_DFL); /* libFuzzer's. */
    setrlimit(RLIMIT_CPU, &limit);
    files_serve();
    _exit(0);
}
