// Tries much of what a C library does and prints what it saw; everything printed is the same on every machine.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int got;
static void *volatile where;

static void leave(int signal, siginfo_t *info, void *context) {
    got = signal;
    where = info->si_addr;
    siglongjmp(back, 1);
}

static void count(int signal) {
    volatile double x = signal;
    for (int i = 0; i < 10; i++) x = sqrt(x + i);
    got = signal;
}

static void catch_faults(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int faults[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 4; i++) {
        if (handler) sigaction(faults[i], &action, 0);
        else signal(faults[i], SIG_DFL);
    }
}

#define FAULTS(name, access) \
    do { \
        got = 0; \
        if (!sigsetjmp(back, 1)) { access; } \
        printf("%s: signal %d\n", name, got); \
    } while (0)

static void faults(void) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, 0);
    catch_faults(leave);
    volatile int zero = 0;
    FAULTS("null", *(volatile int *)8 = 1);
    printf("address %p\n", where);
    FAULTS("ud2", __asm__ volatile("ud2"));
    FAULTS("divide", zero = 5 / zero);
    FAULTS("int3", __asm__ volatile("int3"));
    FAULTS("text", *(volatile char *)(void *)faults = 1);
    volatile char *page = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    page[4096] = 2;
    page[8192] = 3;
    mprotect((void *)page, 4096, PROT_READ);
    FAULTS("read only", page[0] = 5);
    printf("offset %ld, still %d %d\n", (long)((char *)where - (char *)page), page[0], page[4096]);
    mprotect((void *)page, 4096, PROT_NONE);
    FAULTS("no access", zero = page[0]);
    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
    printf("kept %d\n", page[0]);
    munmap((void *)(page + 4096), 4096);
    FAULTS("unmapped", zero = page[4096]);
    mmap((void *)(page + 4096), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("again %d %d %d\n", page[0], page[4096], page[8192]);
}

static void signals(void) {
    double kept = 1.5;
    signal(SIGUSR1, count);
    raise(SIGUSR1);
    printf("raised %d, kept %g\n", got, kept * 2);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    got = 0;
    kill(getpid(), SIGUSR1);
    printf("blocked %d\n", got);
    sigprocmask(SIG_SETMASK, &old, 0);
    printf("unblocked %d\n", got);
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    pipe(ends);
    close(ends[0]);
    printf("broken pipe %zd %d\n", write(ends[1], "x", 1), errno == EPIPE);
    close(ends[1]);
}

static void files(void) {
    char folder[] = "/tmp/isomark-vmm-XXXXXX", line[64], name[300];
    chdir(mkdtemp(folder));
    FILE *file = fopen("a.txt", "w+");
    for (int i = 0; i < 10000; i++) fprintf(file, "line %d\n", i);
    rewind(file);
    int lines = 0;
    while (fgets(line, sizeof line, file)) lines++;
    fclose(file);
    struct stat info;
    stat("a.txt", &info);
    printf("lines %d, last %ssize %ld, mode %o, links %ld\n", lines, line, (long)info.st_size, info.st_mode, (long)info.st_nlink);
    int fd = open("a.txt", O_RDWR);
    char *map = mmap(0, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    printf("mapped %.6s\n", map);
    pwrite(fd, "LINE", 4, 0);
    pread(fd, line, 6, 0);
    printf("reread %.6s, end %ld, ", line, (long)lseek(fd, 0, SEEK_END));
    ftruncate(fd, 10);
    printf("then %ld\n", (long)lseek(fd, 0, SEEK_END));
    close(fd);
    link("a.txt", "b.txt");
    rename("b.txt", "c.txt");
    symlink("c.txt", "d.txt");
    printf("link %zd %d %d\n", readlink("d.txt", line, 64), access("d.txt", R_OK), access("b.txt", F_OK));
    mkdir("many", 0755);
    for (int i = 0; i < 500; i++) {
        sprintf(name, "many/%03d", i);
        close(creat(name, 0600));
    }
    DIR *dir = opendir("many");
    int seen = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        sprintf(name, "many/%s", entry->d_name);
        seen += unlink(name) == 0;
    }
    closedir(dir);
    printf("removed %d, folder %d\n", seen, rmdir("many"));
    printf("missing %d %d\n", open("none", O_RDONLY), errno == ENOENT);
    unlink("a.txt"), unlink("c.txt"), unlink("d.txt");
    chdir("/");
    printf("folder %d\n", rmdir(folder));
}

static void transfers(void) {
    struct iovec parts[] = {{"vec", 3}, {"tor\n", 4}};
    char text[64] = "";
    int ends[2];
    fflush(stdout);
    writev(1, parts, 2);
    pipe(ends);
    write(ends[1], "xyz", 3);
    struct pollfd entry = {ends[0], POLLIN};
    printf("poll %d %d, ", poll(&entry, 1, 0), entry.revents);
    printf("read %zd, ", read(ends[0], text, 64));
    close(ends[1]);
    printf("then %zd\n", read(ends[0], text, 64));
    fgets(text, 64, stdin);
    printf("stdin %s", text);
    printf("terminal %d\n", isatty(1));
}

static void memory(void) {
    unsigned char *block = malloc(8 << 20);
    memset(block, 1, 8 << 20);
    block = realloc(block, 20 << 20);
    printf("grown %d %d\n", block[0], block[(8 << 20) - 1]);
    free(block);
    unsigned sum = 0;
    for (int i = 0; i < 200; i++) {
        unsigned char *some = calloc(1, 1000 * i + 1);
        sum += some[500 * i];
        some[0] = i;
        if (i % 3) free(some);
    }
    printf("zeros %u\n", sum);
}

__attribute__((noinline)) static int recurse(int n) {
    volatile char frame[4096];
    frame[0] = n;
    return recurse(n + 1) + frame[0];
}

int main(int argc, char **argv) {
    printf("%d %s %d\n", argc, argv[1], getenv("NONE") == 0);
    faults();
    signals();
    files();
    transfers();
    memory();
    struct timespec wait = {0, 1000000}, before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&wait, 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("slept %d\n", (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 1000000);
    fflush(stdout);
    catch_faults(0);
    volatile int zero = 0;
    if (!strcmp(argv[1], "exit")) exit(17);
    if (!strcmp(argv[1], "abort")) abort();
    if (!strcmp(argv[1], "segv")) *(volatile int *)0 = 1;
    if (!strcmp(argv[1], "recurse")) return recurse(1);
    if (!strcmp(argv[1], "term")) raise(SIGTERM);
    if (!strcmp(argv[1], "divide")) return 1 / zero;
    return 42;
}
