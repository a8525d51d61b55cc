/* Isopod: a pool of JavaScript workers in a program that is not written in Rust.
 *
 *     isopod_pool *pool;
 *     char *sum;
 *     if (isopod_pool_new(NULL, &pool) == ISOPOD_OK) {
 *       isopod_deploy_source(pool, "sum", "export const add = (a, b) => a + b;", NULL);
 *       if (isopod_call(pool, "sum", "add", "[1, 2]", 1000, &sum) == ISOPOD_OK) puts(sum);
 *       else fprintf(stderr, "%s\n", isopod_last_error_message());
 *       isopod_string_free(sum);
 *       isopod_pool_free(pool);
 *     }
 *
 * What holds for all of it:
 *
 * - Threads. Every function may be called on any thread, at the same time as any other and with the same pool. The one
 *   exception is `isopod_pool_free`: no other call with that pool may run or follow.
 * - Texts are UTF-8 and end with NUL. What is passed in is copied: it may be freed when the function returns.
 * - Strings that come out through a `char **` belong to the caller, and go back to `isopod_string_free`. On an error they
 *   are NULL. Where the string is not wanted, pass NULL for the `char **`.
 * - Errors. A status other than ISOPOD_OK leaves its message with the thread: `isopod_last_error_message` and its kin.
 * - NULL where something is needed is ISOPOD_INVALID_ARGUMENT. A pointer to what was freed is undefined behaviour, as is
 *   freeing it again.
 * - Times are in milliseconds; 0 means what is said at each of them.
 * - `fork`: only before the first pool, or to `exec`: V8's threads are not there in the child.
 * - The shared library stays loaded until the process ends, also after `dlclose`: V8's own threads run in it.
 */

#ifndef ISOPOD_H
#define ISOPOD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A pool of worker threads. Made by `isopod_pool_new`, freed by `isopod_pool_free`. */
typedef struct isopod_pool isopod_pool;

/* How a call went. More may be added. */
typedef enum isopod_status {
  ISOPOD_OK = 0,

  /* How an event ended. */
  ISOPOD_EXCEPTION = 1,       /* the script threw */
  ISOPOD_EXCEEDED_CPU = 2,    /* it used more CPU time than it may */
  ISOPOD_EXCEEDED_WALL = 3,   /* the time was up, in the queue or while it ran */
  ISOPOD_EXCEEDED_MEMORY = 4, /* it held more memory than it may */
  ISOPOD_CANCELED = 5,        /* the pool was shut down before it was finished */
  ISOPOD_LOAD_SHED = 6,       /* the queue is full, or it waited there for too long: try again later */
  ISOPOD_BOOT_FAILED = 7,     /* the script cannot be started: a syntax error, or its top level threw */
  ISOPOD_WORKER_LOST = 8,     /* the worker went away through no fault of the event */

  /* Nothing was run. */
  ISOPOD_INVALID_ARGUMENT = 20, /* NULL, no UTF-8, no JSON of the right shape, or out of range */
  ISOPOD_INVALID_SCRIPT = 21,   /* no script can be made of this: a file that is not there */
  ISOPOD_UNKNOWN_SCRIPT = 22,   /* nothing is deployed under the name */
  ISOPOD_SHUT_DOWN = 23,        /* the pool was shut down */
  ISOPOD_FROM_CALLBACK = 24,    /* a callback cannot end its own pool */
  ISOPOD_SYSTEM = 25,           /* the operating system refused something, as a thread */
  ISOPOD_INTERNAL = 26          /* a fault of the library's own */
} isopod_status;

/* The name of a status, such as "exceeded_cpu"; "unknown" for what is none. Not to be freed. */
const char *isopod_status_name(int32_t status);

/* The library's version, such as "0.1.0". Not to be freed. */
const char *isopod_version(void);

/* ---- Errors */

/* The last error of this thread. Calls that go well leave it alone, so it may be read after cleaning up. The texts are
 * good until the next error on this thread, and not to be freed. */

/* ISOPOD_OK if there was none. */
isopod_status isopod_last_error_status(void);
/* What went wrong and what helps, in one line; NULL if there was no error. */
const char *isopod_last_error_message(void);
/* For the script's developer: the stack in places of the source, or a frame of code. NULL if there is nothing. */
const char *isopod_last_error_detail(void);
/* How long to wait before trying again, where that helps; else 0. */
uint64_t isopod_last_error_retry_after_ms(void);

/* ---- The pool */

/* Settings. Begin with ISOPOD_POOL_OPTIONS_INIT and set what is to differ: 0 and NULL mean the default. A program made
 * with an older header works with a newer library; `size` tells which fields it knows. */
typedef struct isopod_pool_options {
  size_t size;                    /* sizeof(isopod_pool_options) */
  const char *thread_name;        /* what the names of its threads begin with. Default: "isopod" */
  uint32_t threads;               /* worker threads from the start. Default: one per processor */
  uint32_t threads_max;           /* worker threads at most. Default: `threads` */
  uint32_t io_threads;            /* threads of each worker thread's I/O runtime. Default: 2 */
  uint32_t queue_len_max;         /* events of one script that may wait. Default: 1024 */
  uint32_t callbacks_waiting_max; /* asynchronous calls that may wait for their callbacks. Default: 1024 */
  uint32_t reserved;              /* 0 */
  uint64_t queue_wait_max_ms;     /* how long an event may wait. Default: 10,000 */
  uint64_t wall_timeout_ms;       /* how long an event may run. Default: 30,000 */
  uint64_t boot_timeout_ms;       /* how long a worker may take to start. Default: 10,000 */
  uint64_t idle_timeout_ms;       /* after what time without events a worker goes. Default: never */
} isopod_pool_options;

#define ISOPOD_POOL_OPTIONS_INIT {sizeof(isopod_pool_options), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Makes a pool; its threads start meanwhile. `options` may be NULL: every default. On an error `*pool` is NULL.
 * Any number of pools fit in a process. */
isopod_status isopod_pool_new(const isopod_pool_options *options, isopod_pool **pool);

/* Accepts nothing from now on, finishes what is accepted within `deadline_ms` (0: at once), cuts the rest, tells every
 * callback that is due, and joins the pool's threads. Takes at most the deadline, what the pool grants for cutting (4 s at
 * the defaults), and what callbacks take. The pool is still to be freed.
 * `*report_json`: {"finished", "cut", "threads_joined", "threads_stuck"}. */
isopod_status isopod_pool_shutdown(const isopod_pool *pool, uint64_t deadline_ms, char **report_json);

/* Frees a pool. One that was not shut down is, with a deadline of 0. NULL is fine. After it no callback comes any more.
 * Anything but ISOPOD_OK means that the pool was not freed. */
isopod_status isopod_pool_free(isopod_pool *pool);

/* What the pool has done and does: {"threads", "open", "accepted", "refused", "outcomes", "scripts", …}. */
isopod_status isopod_stats(const isopod_pool *pool, char **stats_json);

/* ---- Scripts */

/* Makes a script answer to a name; what had the name before is replaced without losing an event. Does not wait for its
 * start, and so does not find a syntax error: `isopod_warm` does both.
 *
 * `options_json` may be NULL; each member may be left out:
 *   "language": "javascript" or "typescript"       of the source text; of a file its extension says
 *   "modules": {"./util.js": "export …"}           further modules, for a source text to import
 *   "env": {"NAME": "text", "LIST": [1, 2]}        what the script finds in `env`
 *   "secrets": {"KEY": "…"}                        texts in `env` that are never shown in logs or errors
 *   "sql": {"DB": "sqlite:shop.db"}                SQL databases in `env`: sqlite: or postgres://
 *   "fetch": {"allow_private": false, "allow": ["127.0.0.1:8080"], "deny": ["example.org"], "only": ["*.example.net"]}
 *   "policy": "per_worker", "per_request" or "oneshot"
 *   "concurrency": 64, "workers_min": 0, "workers_max": 4, "queue_len_max": 1024, "spread_at": 4, "weight": 1,
 *   "adapts": false
 *   "recycle": {"events": 1000, "age_ms": 3600000, "memory_bytes": 67108864}
 *   "wall_timeout_ms": 30000, "stream_timeout_ms": 3600000, "wait_until_timeout_ms": 30000
 *   "cpu_ms": 10000, "cpu_soft_ms": 8000, "boot_cpu_ms": 5000, "memory_bytes": 134217728
 */
isopod_status isopod_deploy_source(const isopod_pool *pool, const char *name, const char *source,
                                   const char *options_json);

/* The same with a file: JavaScript, TypeScript, TSX; its imports are resolved from its folder. */
isopod_status isopod_deploy_file(const isopod_pool *pool, const char *name, const char *path, const char *options_json);

/* Takes a script away: new events are refused, accepted ones finished. */
isopod_status isopod_undeploy(const isopod_pool *pool, const char *name);

/* Waits until the script has a worker that is ready, or hears why it cannot have one: the detail of the error has file,
 * line and code. `timeout_ms` 0: as long as the pool's own limits allow. */
isopod_status isopod_warm(const isopod_pool *pool, const char *name, uint64_t timeout_ms);

/* ---- Calls */

/* Calls a function that the script exports, and waits for what it returns or resolves to. `arguments_json` is a JSON
 * array; NULL is no arguments. `timeout_ms` 0: as long as the pool's and the script's own limits allow.
 * A script may say which entry point is meant: "shop#Admin". What JSON has no word for, `undefined` as well, is null. */
isopod_status isopod_call(const isopod_pool *pool, const char *name, const char *function, const char *arguments_json,
                          uint64_t timeout_ms, char **result_json);

/* What is told of an asynchronous call: `result_json` on ISOPOD_OK, until the callback returns; else NULL, and the error
 * is the thread's last. All callbacks of a pool run on one thread of the library's, one after the other: the next one
 * waits for this. It may call anything but `isopod_pool_shutdown` and `isopod_pool_free` of its own pool. It must not
 * throw or jump out. */
typedef void (*isopod_callback)(void *user_data, isopod_status status, const char *result_json);

/* `isopod_call` that returns at once. The callback is told exactly once if this returns ISOPOD_OK, and never otherwise. */
isopod_status isopod_call_async(const isopod_pool *pool, const char *name, const char *function,
                                const char *arguments_json, uint64_t timeout_ms, isopod_callback callback,
                                void *user_data);

/* ---- Odds and ends */

/* Frees a string that the library handed over. NULL is fine. */
void isopod_string_free(char *string);

/* Writes what is logged, scripts' `console` included, to standard error. `filter` is a level or a list of them by target,
 * as "warn,isopod::console=info"; NULL is "info". Once in a process; without it nothing is written. */
isopod_status isopod_log_to_stderr(const char *filter);

#ifdef __cplusplus
}
#endif

#endif
