/*
 * A disk that a test fills, for a program that is started with this library in LD_PRELOAD.
 *
 * While the first byte of the file that SECKILL_DISK names is not 0, no regular file of the program
 * grows: what would make one longer fails with ENOSPC, and a write that begins inside is cut off at
 * the end, as on a disk without a free block. What rewrites bytes that are there goes on. What the
 * program prints does not count: the test wants to read it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const unsigned char *full;

__attribute__((constructor)) static void open_switch(void)
{
    const char *path = getenv("SECKILL_DISK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);

    if (mapped == MAP_FAILED) {
        perror("the switch that SECKILL_DISK names");
        exit(1);
    }
    close(file);
    full = mapped;
}

/* How much of a write fits, which begins at `from`, or at the file's own place if that is -1. */
static ssize_t room(int file, off_t from, size_t wanted)
{
    struct stat is;

    if (!full || !__atomic_load_n(full, __ATOMIC_RELAXED) || file <= STDERR_FILENO ||
        fstat(file, &is) != 0 || !S_ISREG(is.st_mode))
        return (ssize_t)wanted;
    if (from < 0)
        from = fcntl(file, F_GETFL) & O_APPEND ? is.st_size : lseek(file, 0, SEEK_CUR);
    if (from + (off_t)wanted <= is.st_size)
        return (ssize_t)wanted;
    return from < is.st_size ? (ssize_t)(is.st_size - from) : 0;
}

static ssize_t no_space(void)
{
    errno = ENOSPC;
    return -1;
}

ssize_t write(int file, const void *bytes, size_t count)
{
    ssize_t fits = room(file, -1, count);

    if (fits == 0 && count > 0)
        return no_space();
    return syscall(SYS_write, file, bytes, (size_t)fits);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t from)
{
    ssize_t fits = room(file, from, count);

    if (fits == 0 && count > 0)
        return no_space();
    return syscall(SYS_pwrite64, file, bytes, (size_t)fits, from);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t from)
{
    return pwrite64(file, bytes, count, from);
}

/* Of several parts, all fit or none is written. */
static int fits_all(int file, off_t from, const struct iovec *parts, int count)
{
    size_t wanted = 0;

    for (int i = 0; i < count; i++)
        wanted += parts[i].iov_len;
    return room(file, from, wanted) == (ssize_t)wanted;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    if (!fits_all(file, -1, parts, count))
        return no_space();
    return syscall(SYS_writev, file, parts, count);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t from)
{
    if (!fits_all(file, from, parts, count))
        return no_space();
    return syscall(SYS_pwritev, file, parts, count, from, 0L);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t from)
{
    return pwritev64(file, parts, count, from);
}

int fallocate64(int file, int mode, off64_t from, off64_t count)
{
    if (!(mode & FALLOC_FL_PUNCH_HOLE) && room(file, from, (size_t)count) != count)
        return (int)no_space();
    return (int)syscall(SYS_fallocate, file, mode, from, count);
}

int fallocate(int file, int mode, off_t from, off_t count)
{
    return fallocate64(file, mode, from, count);
}

int posix_fallocate64(int file, off64_t from, off64_t count)
{
    /* The system's own writes byte for byte where a file system knows no better; ours all do. */
    return fallocate64(file, 0, from, count) == 0 ? 0 : errno;
}

int posix_fallocate(int file, off_t from, off_t count)
{
    return posix_fallocate64(file, from, count);
}
