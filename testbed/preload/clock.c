/*
 * A clock that a test controls, for a program that is started with this library in LD_PRELOAD.
 *
 * The file that SECKILL_CLOCK names holds two numbers of eight bytes each, in the machine's own
 * order. The first is the Unix time in microseconds: the program sees that time instead of the
 * system's; 0 is the system's. The second says by how many microseconds the system's is wrong.
 * Only the time of day is replaced: CLOCK_MONOTONIC and the rest go on, so that timers run and
 * nothing hangs when the test's time stands still.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define US_PER_SECOND 1000000

/* An absolute time before this many seconds is one of CLOCK_MONOTONIC: it began at the last boot. */
#define FIRST_SECOND_OF_DAY_TIME 1000000000

struct shown {
    uint64_t still_us;
    int64_t wrong_by_us;
};

static const struct shown *test_clock;

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
static uint64_t still_us(void)
{
    /* Another library may ask for the time before our constructor has run. */
    return test_clock ? __atomic_load_n(&test_clock->still_us, __ATOMIC_RELAXED) : 0;
}

static int64_t wrong_by_us(void)
{
    return test_clock ? __atomic_load_n(&test_clock->wrong_by_us, __ATOMIC_RELAXED) : 0;
}

static void add_us(struct timespec *time, int64_t us)
{
    int64_t nsec = time->tv_nsec + us % US_PER_SECOND * 1000;

    time->tv_sec += (time_t)(us / US_PER_SECOND);
    if (nsec < 0) {
        nsec += 1000 * US_PER_SECOND;
        time->tv_sec--;
    } else if (nsec >= 1000 * US_PER_SECOND) {
        nsec -= 1000 * US_PER_SECOND;
        time->tv_sec++;
    }
    time->tv_nsec = (long)nsec;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    uint64_t us = clock == CLOCK_REALTIME ? still_us() : 0;
    int failed;

    if (us == 0) {
        failed = (int)syscall(SYS_clock_gettime, clock, now);
        if (failed == 0 && clock == CLOCK_REALTIME)
            add_us(now, wrong_by_us());
        return failed;
    }
    now->tv_sec = (time_t)(us / US_PER_SECOND);
    now->tv_nsec = (long)(us % US_PER_SECOND) * 1000;
    return 0;
}

/* Who waits until a time of day means the time that we show; the kernel knows only its own. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    static int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec moved = *until;

    if (!wait)
        /* The version that a program linked today gets; an older one has another layout. */
        *(void **)&wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!wait)
        *(void **)&wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (!wait)
        return EINVAL;
    if (until->tv_sec >= FIRST_SECOND_OF_DAY_TIME)
        add_us(&moved, -wrong_by_us());
    return wait(condition, mutex, &moved);
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

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

time_t time(time_t *seconds)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}
