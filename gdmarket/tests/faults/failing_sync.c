/* Loaded before the C library: while the file named by FAIL_SYNC exists, the next sync of log.db-wal removes it
   and fails like a sync on a broken disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd) {
    const char *trigger = getenv("FAIL_SYNC");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (trigger == NULL || length < 0) return 0;
    path[length] = 0;
    return strstr(path, "log.db-wal") != NULL && unlink(trigger) == 0;
}

static int sync_or_fail(long call, int fd) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd) { return sync_or_fail(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_or_fail(SYS_fdatasync, fd); }
