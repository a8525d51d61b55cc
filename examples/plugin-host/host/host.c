/* The host: a small video system without an async runtime. It loads a detector plugin, passes it frames of three monitors
 * from three threads, and unloads it; twice.
 *
 *     host PLUGIN.so CONFIGURATION
 */

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../plugin.h"

enum { MONITORS = 3, FRAMES = 3, WIDTH = 32, HEIGHT = 24 };

/* The functions of a plugin. */
typedef struct {
  plugin *(*load)(const char *, const plugin_host *, char *, size_t);
  plugin_answer (*on_start)(plugin *, const char *);
  plugin_answer (*on_frame)(plugin *, const char *, uint32_t, uint32_t, const uint8_t *, size_t);
  plugin_answer (*on_stop)(plugin *, const char *);
  void (*unload)(plugin *);
} functions;

/* A monitor, and the plugin's results for it. */
typedef struct {
  const char *name;
  int step;        /* pixels that a thing in its picture moves from frame to frame */
  int pixels_less; /* pixels that its frames lack: a faulty camera */
  int told;
  char lines[FRAMES][200];
} monitor;

typedef struct {
  functions plugin_functions;
  plugin *plugin;
  monitor monitors[MONITORS];
  pthread_mutex_t lock;
  pthread_cond_t changed;
} host;

typedef struct {
  host *host;
  monitor *monitor;
} job;

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

/* The number of threads of this process. */
static int threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) die("there is no /proc");
  int count = 0;
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void wait_a_little(void) {
  struct timespec pause = {0, 5 * 1000 * 1000};
  nanosleep(&pause, NULL);
}

/* A joined thread may remain in the system's list for a moment. Returns the number once it has been stable for a quarter
 * of a second. */
static int threads_settled(void) {
  int count = threads();
  for (int same = 0; same < 50; same++) {
    wait_a_little();
    if (threads() != count) same = 0;
    count = threads();
  }
  return count;
}

static void note(host *host, const char *name, const char *text) {
  pthread_mutex_lock(&host->lock);
  for (int i = 0; i < MONITORS; i++) {
    monitor *monitor = &host->monitors[i];
    if (strcmp(monitor->name, name) == 0 && monitor->told < FRAMES)
      snprintf(monitor->lines[monitor->told++], sizeof monitor->lines[0], "%s", text);
  }
  pthread_cond_broadcast(&host->changed);
  pthread_mutex_unlock(&host->lock);
}

/* Called by the plugin on its threads. */
static void found(void *data, const char *monitor, uint64_t frame, const char *json) {
  char text[200];
  snprintf(text, sizeof text, "frame %d: %s", (int)frame, json);
  note(data, monitor, text);
}

static void failed(void *data, const char *monitor, const char *text) {
  if (monitor[0] == '\0') fprintf(stderr, "the plugin failed: %s\n", text);
  else note(data, monitor, text);
}

static void draw(uint8_t *pixels, int left) {
  memset(pixels, 10, WIDTH * HEIGHT);
  for (int y = 8; y < 12; y++)
    for (int x = left; x < left + 4; x++) pixels[y * WIDTH + x] = 200;
}

/* The thread of a monitor. The hooks return immediately, so it never falls behind. */
static void *film(void *argument) {
  job *job = argument;
  host *host = job->host;
  monitor *monitor = job->monitor;
  const functions *plugin = &host->plugin_functions;
  uint8_t pixels[WIDTH * HEIGHT];
  if (plugin->on_start(host->plugin, monitor->name) != PLUGIN_OK) die("a monitor was not started");
  if (plugin->on_start(host->plugin, monitor->name) != PLUGIN_STARTED_ALREADY) die("it was started twice");
  for (int frame = 0; frame < FRAMES; frame++) {
    draw(pixels, 2 + frame * monitor->step);
    plugin_answer answer;
    while ((answer = plugin->on_frame(host->plugin, monitor->name, WIDTH, HEIGHT, pixels,
                                      sizeof pixels - (size_t)monitor->pixels_less)) == PLUGIN_BUSY)
      wait_a_little();
    if (answer != PLUGIN_OK) die("a frame was not taken");
  }
  pthread_mutex_lock(&host->lock);
  while (monitor->told < FRAMES) pthread_cond_wait(&host->changed, &host->lock);
  pthread_mutex_unlock(&host->lock);
  if (plugin->on_stop(host->plugin, monitor->name) != PLUGIN_OK) die("a monitor was not stopped");
  if (plugin->on_stop(host->plugin, monitor->name) != PLUGIN_NOT_STARTED) die("it was stopped twice");
  return NULL;
}

static void *function(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) die(dlerror());
  return found;
}

/* Loads the plugin, submits frames, unloads it. */
static void session(const char *path, const char *config, bool print) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) die(dlerror());
  host host = {
      .plugin_functions = {function(library, "plugin_load"), function(library, "plugin_on_start"),
                           function(library, "plugin_on_frame"), function(library, "plugin_on_stop"),
                           function(library, "plugin_unload")},
      .monitors = {{.name = "gate", .step = 5}, {.name = "hall", .step = 0}, {.name = "yard", .pixels_less = 1}},
      .lock = PTHREAD_MUTEX_INITIALIZER,
      .changed = PTHREAD_COND_INITIALIZER,
  };
  plugin_host told = {&host, found, failed};
  char error[400] = "";

  /* An invalid configuration is an error, and the host continues. */
  if (host.plugin_functions.load("{\"modle\": 1}", &told, error, sizeof error) != NULL) die("it loaded");
  if (print) printf("refused: %s\n", error);

  host.plugin = host.plugin_functions.load(config, &told, error, sizeof error);
  if (host.plugin == NULL) die(error);
  pthread_t films[MONITORS];
  job jobs[MONITORS];
  for (int i = 0; i < MONITORS; i++) {
    jobs[i] = (job){&host, &host.monitors[i]};
    if (pthread_create(&films[i], NULL, film, &jobs[i]) != 0) die("no thread for a monitor");
  }
  for (int i = 0; i < MONITORS; i++) pthread_join(films[i], NULL);
  for (int i = 0; print && i < MONITORS; i++)
    for (int line = 0; line < FRAMES; line++) printf("%s: %s\n", host.monitors[i].name, host.monitors[i].lines[line]);
  host.plugin_functions.unload(host.plugin);
  if (dlclose(library) != 0) die(dlerror());
}

int main(int argc, char **argv) {
  if (argc != 3) die("usage: host PLUGIN.so CONFIGURATION");
  int before = threads();
  session(argv[1], argv[2], true);
  /* V8's threads and the spawner thread remain, once per process. */
  int after = threads_settled();
  session(argv[1], argv[2], false);
  printf("threads: %d before, the second time added %d\n", before, threads_settled() - after);
  fprintf(stderr, "%d threads stay with the process\n", after - before);
  return 0;
}
