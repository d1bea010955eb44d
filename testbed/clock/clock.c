/*
 * A clock that a test controls, for a program that is started with this library in LD_PRELOAD.
 *
 * The file that SECKILL_CLOCK names holds the Unix time in microseconds, eight bytes in the
 * machine's own order. The program sees that time instead of the system's; 0 there is the system's.
 * Only the time of day is replaced: CLOCK_MONOTONIC and the rest go on, so that timers run and
 * nothing hangs when the test's time stands still.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define US_PER_SECOND 1000000

static const uint64_t *test_clock;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("SECKILL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED
                            : mmap(NULL, sizeof *test_clock, PROT_READ, MAP_SHARED, file, 0);

    if (mapped == MAP_FAILED) {
        /* With the system's clock a test would go wrong later, and nobody would know why. */
        perror("the clock that SECKILL_CLOCK names");
        exit(1);
    }
    close(file);
    test_clock = mapped;
}

/* The test's time, or 0. */
static uint64_t test_us(void)
{
    /* Another library may ask for the time before our constructor has run. */
    return test_clock ? __atomic_load_n(test_clock, __ATOMIC_RELAXED) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    uint64_t us = clock == CLOCK_REALTIME ? test_us() : 0;

    if (us == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec = (time_t)(us / US_PER_SECOND);
    now->tv_nsec = (long)(us % US_PER_SECOND) * 1000;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}
