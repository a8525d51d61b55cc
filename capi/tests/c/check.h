/* Shared by the tests: a check that reports its location, and the threads of this process by name. */

#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "isopod.h"

#define CHECK(what)                                                                                             \
  do {                                                                                                          \
    if (!(what)) {                                                                                              \
      const char *last = isopod_last_error_message();                                                           \
      fprintf(stderr, "%s:%d: %s\n  last error: %s\n", __FILE__, __LINE__, #what, last ? last : "none");        \
      exit(1);                                                                                                  \
    }                                                                                                           \
  } while (0)

#define CHECK_TEXT(got, wanted)                                                                                 \
  do {                                                                                                          \
    const char *got_text = (got);                                                                               \
    if (got_text == NULL || strcmp(got_text, (wanted)) != 0) {                                                  \
      fprintf(stderr, "%s:%d: wanted %s, got %s\n", __FILE__, __LINE__, (wanted), got_text ? got_text : "NULL");\
      exit(1);                                                                                                  \
    }                                                                                                           \
  } while (0)

#define CHECK_HAS(got, part)                                                                                    \
  do {                                                                                                          \
    const char *got_text = (got);                                                                               \
    if (got_text == NULL || strstr(got_text, (part)) == NULL) {                                                 \
      fprintf(stderr, "%s:%d: %s is not in %s\n", __FILE__, __LINE__, (part), got_text ? got_text : "NULL");    \
      exit(1);                                                                                                  \
    }                                                                                                           \
  } while (0)

/* Makes a call, checks its result and frees it. */
#define CHECK_CALL(pool, name, function, arguments, wanted)                                                     \
  do {                                                                                                          \
    char *result = NULL;                                                                                        \
    CHECK(isopod_call((pool), (name), (function), (arguments), 10000, &result) == ISOPOD_OK);                   \
    CHECK_TEXT(result, (wanted));                                                                               \
    isopod_string_free(result);                                                                                 \
  } while (0)

static inline void wait_a_little(void) {
  struct timespec pause = {0, 5 * 1000 * 1000};
  nanosleep(&pause, NULL);
}

/* The number of this process's threads with this name prefix; all of them for "". */
static inline int threads_named(const char *prefix) {
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks != NULL);
  int count = 0;
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (file == NULL) continue; /* it has ended meanwhile */
    bool read = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    if (read && strncmp(name, prefix, strlen(prefix)) == 0) count++;
  }
  closedir(tasks);
  return count;
}

/* Waits for this number of threads; a joined thread may remain in the list for a moment. */
static inline bool threads_become(const char *prefix, int wanted) {
  for (int tries = 0; tries < 2000; tries++) {
    if (threads_named(prefix) == wanted) return true;
    wait_a_little();
  }
  fprintf(stderr, "%d threads named %s*, wanted %d\n", threads_named(prefix), prefix, wanted);
  return false;
}

#endif
