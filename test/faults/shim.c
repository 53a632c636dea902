/*
 * Loaded before the C library (LD_PRELOAD): moves the wall clock and delays what waits for the disk, by what stands in the file that
 * TOKENWEIR_SHIM names: two 64-bit integers, the offset of the clock in milliseconds and the delay in microseconds. The monotonic clock stays.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *orders(void) {
  static volatile int64_t *mapped;
  if (mapped == NULL) {
    static int64_t none[2];
    const char *path = getenv("TOKENWEIR_SHIM");
    int file = path == NULL ? -1 : open(path, O_RDONLY);
    void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    mapped = at == MAP_FAILED ? none : at;
  }
  return mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*own)(clockid_t, struct timespec *);
  if (own == NULL) own = dlsym(RTLD_NEXT, "clock_gettime");
  int result = own(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += orders()[0] / 1000;
  return result;
}

int gettimeofday(struct timeval *time, void *zone) {
  static int (*own)(struct timeval *, void *);
  if (own == NULL) own = dlsym(RTLD_NEXT, "gettimeofday");
  int result = own(time, zone);
  if (result == 0) time->tv_sec += orders()[0] / 1000;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

static void wait_for_disk(void) {
  int64_t micros = orders()[1];
  if (micros > 0) usleep(micros);
}

#define DELAYED(name)                                   \
  int name(int file) {                                  \
    static int (*own)(int);                             \
    if (own == NULL) own = dlsym(RTLD_NEXT, #name);     \
    wait_for_disk();                                    \
    return own(file);                                   \
  }
DELAYED(fsync)
DELAYED(fdatasync)

/* What SQLite writes pages with. */
#define DELAYED_WRITE(name, offset)                                             \
  ssize_t name(int file, const void *bytes, size_t count, offset at) {          \
    static ssize_t (*own)(int, const void *, size_t, offset);                   \
    if (own == NULL) own = dlsym(RTLD_NEXT, #name);                             \
    wait_for_disk();                                                            \
    return own(file, bytes, count, at);                                         \
  }
DELAYED_WRITE(pwrite64, off64_t)
