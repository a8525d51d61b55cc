/* What the host of this example, a video system, asks of a plugin. A plugin is a shared library with these functions.
 *
 * The hooks return at once and may be called on any thread. What a plugin finds, it tells by the functions it is given
 * when it is loaded; these are called on threads of the plugin's, and none is called after `plugin_unload` has returned. */

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
  /* What was found in a frame, as JSON; `frame` counts the monitor's frames from 1. */
  void (*found)(void *data, const char *monitor, uint64_t frame, const char *json);
  /* What went wrong; `monitor` is "" where it concerns none. */
  void (*failed)(void *data, const char *monitor, const char *text);
} plugin_host;

/* Starts the plugin and waits until it is ready. NULL if it cannot start; `error` then says why. */
plugin *plugin_load(const char *config_json, const plugin_host *host, char *error, size_t error_size);

/* Starts the work for a monitor. */
plugin_answer plugin_on_start(plugin *plugin, const char *monitor);

/* A frame: width times height bytes, one for the brightness of each pixel. They are copied. */
plugin_answer plugin_on_frame(plugin *plugin, const char *monitor, uint32_t width, uint32_t height,
                              const uint8_t *pixels, size_t pixels_size);

/* Ends the work for a monitor; frames that wait are forgotten. */
plugin_answer plugin_on_stop(plugin *plugin, const char *monitor);

/* Ends all work, joins the plugin's threads and frees it. Not from a function that the plugin calls: it would wait for itself. */
void plugin_unload(plugin *plugin);

#endif
