/* The interface between this example's host, a video system, and a plugin: a shared library with these functions.
 *
 * The hooks return immediately and may be called on any thread. The plugin reports results through the functions passed to
 * `plugin_load`. It calls them on its own threads, and never after `plugin_unload` has returned. */

#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>
#include <stdint.h>

typedef struct plugin plugin;

typedef enum plugin_answer {
  PLUGIN_OK = 0,
  PLUGIN_NOT_STARTED = 1,     /* no work was started for the monitor */
  PLUGIN_STARTED_ALREADY = 2, /* work was started for the monitor before */
  PLUGIN_BUSY = 3,            /* too many frames of the monitor wait: this one was not taken */
  PLUGIN_INVALID = 4,         /* an argument is NULL or no UTF-8 */
  PLUGIN_BROKEN = 5           /* a fault of the plugin's own */
} plugin_answer;

typedef struct plugin_host {
  void *data;
  /* A result for a frame, as JSON; `frame` counts the monitor's frames from 1. */
  void (*found)(void *data, const char *monitor, uint64_t frame, const char *json);
  /* An error; `monitor` is "" if it concerns no particular monitor. */
  void (*failed)(void *data, const char *monitor, const char *text);
} plugin_host;

/* Starts the plugin and waits until it is ready. Returns NULL if it cannot start, with the reason in `error`. */
plugin *plugin_load(const char *config_json, const plugin_host *host, char *error, size_t error_size);

/* Starts processing a monitor's frames. */
plugin_answer plugin_on_start(plugin *plugin, const char *monitor);

/* Submits a frame: width times height bytes, the brightness of each pixel. They are copied. */
plugin_answer plugin_on_frame(plugin *plugin, const char *monitor, uint32_t width, uint32_t height,
                              const uint8_t *pixels, size_t pixels_size);

/* Stops processing a monitor's frames; waiting frames are dropped. */
plugin_answer plugin_on_stop(plugin *plugin, const char *monitor);

/* Stops all processing, joins the plugin's threads and frees it. Must not be called from a plugin_host function: it would deadlock. */
void plugin_unload(plugin *plugin);

#endif
