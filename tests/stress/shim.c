/* Makes calls on the files under one folder fail, the n-th or all from the n-th on.
 *
 * Loaded with LD_PRELOAD in front of the C library, so that it stands between the disk and both Python and
 * SQLite. `shim_arm` says which calls fail and how; files elsewhere, such as Python's own, are never touched.
 * It serves one thread, and only Linux with the GNU C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    OPEN = 1, CREATE = 2, READ = 4, WRITE = 8, SYNC = 16, TRUNCATE = 32, RENAME = 64, UNLINK = 128,
    MKDIR = 256, CHMOD = 512, STAT = 1024,
};

static char under[4096];
static size_t length;
static int which, error, onwards;
static long at, calls;
static char failed[512];

/* Which: the calls that count, as a sum of the numbers above. Error: what they fail with; 0 for a write of
 * half the bytes, told honestly. Number: the first that fails; 0 for none, only counting. */
void shim_arm(const char *folder, int calls_that_count, int with, long number, int and_all_after) {
    snprintf(under, sizeof under, "%s", folder);
    length = strlen(under);
    which = calls_that_count, error = with, at = number, onwards = and_all_after;
    calls = 0, failed[0] = 0;
}

const char *shim_failed(void) { return failed; }

static int inside(const char *path) {
    return length && path && !strncmp(path, under, length) && (path[length] == '/' || !path[length]);
}

static int hit(int operation, const char *name, const char *path) {
    if (!(which & operation) || !inside(path))
        return 0;
    calls++;
    if (!at || calls < at || (calls > at && !onwards))
        return 0;
    if (!failed[0])
        snprintf(failed, sizeof failed, "%s %s", name, path + length);
    errno = error;
    return 1;
}

static int hit_open_file(int operation, const char *name, int file) {
    char link[64], path[4096];
    if (!(which & operation))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return hit(operation, name, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPENING(name)                                                                                         \
    int name(const char *path, int flags, ...) {                                                              \
        va_list rest;                                                                                         \
        va_start(rest, flags);                                                                                \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;                                     \
        va_end(rest);                                                                                         \
        if (hit(flags & O_CREAT ? CREATE : OPEN, "open", path))                                               \
            return -1;                                                                                        \
        return REAL(name)(path, flags, mode);                                                                 \
    }
OPENING(open)
OPENING(open64)

/* A write that fails has half of its bytes written: nobody promises that it wrote none. */
static ssize_t half(int file, const void *bytes, size_t size, off64_t offset) {
    int kept = errno;
    ssize_t done = offset < 0 ? REAL(write)(file, bytes, size / 2) : REAL(pwrite64)(file, bytes, size / 2, offset);
    errno = kept;
    return error ? -1 : done;
}

ssize_t write(int file, const void *bytes, size_t size) {
    if (size > 1 && hit_open_file(WRITE, "write", file))
        return half(file, bytes, size, -1);
    return REAL(write)(file, bytes, size);
}

#define WRITING(name, offset_type)                                                                            \
    ssize_t name(int file, const void *bytes, size_t size, offset_type offset) {                              \
        if (size > 1 && hit_open_file(WRITE, "write", file))                                                  \
            return half(file, bytes, size, offset);                                                           \
        return REAL(name)(file, bytes, size, offset);                                                         \
    }
WRITING(pwrite, off_t)
WRITING(pwrite64, off64_t)

#define ON_FILE(result, name, operation, parameters, arguments)                                               \
    result name parameters {                                                                                  \
        if (hit_open_file(operation, #name, file))                                                            \
            return -1;                                                                                        \
        return REAL(name) arguments;                                                                          \
    }
ON_FILE(ssize_t, read, READ, (int file, void *bytes, size_t size), (file, bytes, size))
ON_FILE(ssize_t, pread, READ, (int file, void *bytes, size_t size, off_t offset), (file, bytes, size, offset))
ON_FILE(ssize_t, pread64, READ, (int file, void *bytes, size_t size, off64_t offset), (file, bytes, size, offset))
ON_FILE(int, fsync, SYNC, (int file), (file))
ON_FILE(int, fdatasync, SYNC, (int file), (file))
ON_FILE(int, ftruncate, TRUNCATE, (int file, off_t size), (file, size))
ON_FILE(int, ftruncate64, TRUNCATE, (int file, off64_t size), (file, size))
ON_FILE(int, fchmod, CHMOD, (int file, mode_t mode), (file, mode))
ON_FILE(int, fstat, STAT, (int file, struct stat *found), (file, found))
ON_FILE(int, fstat64, STAT, (int file, struct stat64 *found), (file, found))

#define ON_PATH(name, operation, parameters, arguments)                                                       \
    int name parameters {                                                                                     \
        if (hit(operation, #name, path))                                                                      \
            return -1;                                                                                        \
        return REAL(name) arguments;                                                                          \
    }
ON_PATH(rename, RENAME, (const char *path, const char *new), (path, new))
ON_PATH(unlink, UNLINK, (const char *path), (path))
ON_PATH(mkdir, MKDIR, (const char *path, mode_t mode), (path, mode))
ON_PATH(chmod, CHMOD, (const char *path, mode_t mode), (path, mode))
ON_PATH(stat, STAT, (const char *path, struct stat *found), (path, found))
ON_PATH(stat64, STAT, (const char *path, struct stat64 *found), (path, found))
ON_PATH(lstat, STAT, (const char *path, struct stat *found), (path, found))
ON_PATH(lstat64, STAT, (const char *path, struct stat64 *found), (path, found))
