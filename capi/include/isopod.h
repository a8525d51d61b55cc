/* Isopod: a pool of JavaScript workers, for programs in languages other than Rust.
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
 * General rules:
 *
 * - Threads. All functions may be called on any thread at any time, concurrently and with the same pool. The exception is
 *   `isopod_pool_free`: no other call with that pool may run at the same time or later.
 * - Strings are UTF-8 and NUL-terminated. Inputs are copied and may be freed when the function returns.
 * - Strings returned through a `char **` belong to the caller, who frees them with `isopod_string_free`. On an error they
 *   are NULL. Pass NULL for the `char **` to ignore a result.
 * - Errors. A status other than ISOPOD_OK records details for the thread: `isopod_last_error_message` and others.
 * - NULL for a required argument is ISOPOD_INVALID_ARGUMENT. Using a freed pointer, or freeing it again, is undefined
 *   behavior.
 * - Times are in milliseconds. 0 has the meaning documented for each function.
 * - `fork`: only before the first pool is created, or to `exec`: the child has none of V8's threads.
 * - The shared library stays loaded until the process exits, even after `dlclose`, because V8's threads run its code.
 */

#ifndef ISOPOD_H
#define ISOPOD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A pool of worker threads. Created by `isopod_pool_new`, freed by `isopod_pool_free`. */
typedef struct isopod_pool isopod_pool;

/* The result of a function. Later versions may add more. */
typedef enum isopod_status {
  ISOPOD_OK = 0,

  /* Outcomes of an event. */
  ISOPOD_EXCEPTION = 1,       /* the script threw */
  ISOPOD_EXCEEDED_CPU = 2,    /* it exceeded its CPU limit */
  ISOPOD_EXCEEDED_WALL = 3,   /* its deadline passed, in the queue or while it ran */
  ISOPOD_EXCEEDED_MEMORY = 4, /* it exceeded its memory limit */
  ISOPOD_CANCELED = 5,        /* the pool was shut down before it finished */
  ISOPOD_LOAD_SHED = 6,       /* the queue is full, or it waited for too long: retry later */
  ISOPOD_BOOT_FAILED = 7,     /* the script failed to start: a syntax error, or its top level threw */
  ISOPOD_WORKER_LOST = 8,     /* the worker was lost through no fault of the event */

  /* Nothing was run. */
  ISOPOD_INVALID_ARGUMENT = 20, /* NULL, not UTF-8, not JSON of the right shape, or out of range */
  ISOPOD_INVALID_SCRIPT = 21,   /* the script is invalid, for example its file does not exist */
  ISOPOD_UNKNOWN_SCRIPT = 22,   /* no script is deployed under the name */
  ISOPOD_SHUT_DOWN = 23,        /* the pool was shut down */
  ISOPOD_FROM_CALLBACK = 24,    /* a callback cannot shut down or free its own pool */
  ISOPOD_SYSTEM = 25,           /* an error of the operating system, for example no more threads */
  ISOPOD_INTERNAL = 26          /* a bug in the library */
} isopod_status;

/* Returns the name of a status, such as "exceeded_cpu"; "unknown" if there is no such status. Must not be freed. */
const char *isopod_status_name(int32_t status);

/* Returns the library's version, such as "0.1.0". Must not be freed. */
const char *isopod_version(void);

/* ---- Errors */

/* The last error of this thread. Successful calls keep it, so it may be read after cleaning up. The strings are valid until
 * the next error on this thread, and must not be freed. */

/* Returns the status; ISOPOD_OK if there was no error. */
isopod_status isopod_last_error_status(void);
/* Returns the error and its remedy, on one line; NULL if there was no error. */
const char *isopod_last_error_message(void);
/* Returns details for the script's developer: a stack with original lines, or a code frame. NULL if there are none. */
const char *isopod_last_error_detail(void);
/* Returns the time after which a retry may succeed; 0 if unknown. */
uint64_t isopod_last_error_retry_after_ms(void);

/* ---- The pool */

/* Settings of a pool. Initialize with ISOPOD_POOL_OPTIONS_INIT, then set fields; 0 and NULL mean the default. Programs built
 * with an older header work with a newer library: `size` tells it which fields exist. */
typedef struct isopod_pool_options {
  size_t size;                    /* sizeof(isopod_pool_options) */
  const char *thread_name;        /* prefix of the threads' names. Default: "isopod" */
  uint32_t threads;               /* worker threads. Default: one per processor at first, more as workers need them */
  uint32_t threads_max;           /* maximum number of worker threads. Default: `threads` if set, else `workers_max` */
  uint32_t io_threads;            /* threads of each worker thread's I/O runtime. Default: 2 */
  uint32_t queue_len_max;         /* events of one script that may wait. Default: 1024 */
  uint32_t callbacks_waiting_max; /* asynchronous calls that may wait for their callbacks. Default: 1024 */
  uint32_t reserved;              /* must be 0 */
  uint64_t queue_wait_max_ms;     /* maximum time that an event waits. Default: 10,000 */
  uint64_t wall_timeout_ms;       /* maximum time that an event runs. Default: 30,000 */
  uint64_t boot_timeout_ms;       /* maximum time that a worker takes to start. Default: 10,000 */
  uint64_t idle_timeout_ms;       /* time without events after which a worker ends. Default: never */
  uint64_t workers_max;           /* maximum number of workers. Default: `threads` if set, else one for each 4 MiB of memory */
  uint64_t memory_bytes_max;      /* maximum memory of all workers. Default: half of the machine's, and no event is refused */
} isopod_pool_options;

#define ISOPOD_POOL_OPTIONS_INIT {sizeof(isopod_pool_options), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Creates a pool and starts its threads, without waiting for them. `options` may be NULL for the defaults. On an error,
 * `*pool` is NULL. A process can have any number of pools. */
isopod_status isopod_pool_new(const isopod_pool_options *options, isopod_pool **pool);

/* Stops accepting events, finishes accepted ones within `deadline_ms` (0: cuts them immediately), cuts the rest, runs all
 * pending callbacks and joins the pool's threads. Takes at most the deadline, plus the pool's time limit for cutting (4 s by
 * default), plus the time of callbacks. The pool must still be freed.
 * `*report_json`: {"finished", "cut", "sessions_cut", "threads_joined", "threads_stuck"}. */
isopod_status isopod_pool_shutdown(const isopod_pool *pool, uint64_t deadline_ms, char **report_json);

/* Frees a pool, after shutting it down with a deadline of 0 if that was not done. NULL is allowed. No callback runs
 * afterwards. If the status is not ISOPOD_OK, the pool was not freed. */
isopod_status isopod_pool_free(isopod_pool *pool);

/* Returns statistics: {"threads", "open", "accepted", "refused", "outcomes", "scripts", …}. */
isopod_status isopod_stats(const isopod_pool *pool, char **stats_json);

/* ---- Scripts */

/* Deploys a script under a name. A script deployed before under that name is replaced without losing an event. Does not
 * wait until a worker has started, so it does not report syntax errors; `isopod_warm` does both.
 *
 * `options_json` may be NULL; all members are optional:
 *   "language": "javascript" or "typescript"       of source text; a file's extension decides
 *   "modules": {"./util.js": "export …"}           modules that source text can import
 *   "env": {"NAME": "text", "LIST": [1, 2]}        values in `env`
 *   "secrets": {"KEY": "…"}                        strings in `env` that never appear in logs or errors
 *   "sql": {"DB": "sqlite:shop.db"}                SQL databases in `env`: sqlite: or postgres://
 *   "fetch": {"allow_private": false, "allow": ["127.0.0.1:8080"], "deny": ["example.org"], "only": ["*.example.net"]}
 *   "policy": "per_worker", "per_request" or "oneshot"
 *   "concurrency": 64, "workers_min": 0, "workers_max": 4, "queue_len_max": 1024, "spread_at": 4, "weight": 1,
 *   "adapts": false
 *   "recycle": {"events": 1000, "age_ms": 3600000, "memory_bytes": 67108864}
 *   "boot_timeout_ms": 10000, "wall_timeout_ms": 30000, "stream_timeout_ms": 3600000, "wait_until_timeout_ms": 30000
 *   "cpu_ms": 10000, "cpu_soft_ms": 8000, "boot_cpu_ms": 5000, "memory_bytes": 134217728
 */
isopod_status isopod_deploy_source(const isopod_pool *pool, const char *name, const char *source,
                                   const char *options_json);

/* Deploys a script from a file: JavaScript, TypeScript or TSX. Its imports are resolved from its folder. */
isopod_status isopod_deploy_file(const isopod_pool *pool, const char *name, const char *path, const char *options_json);

/* Removes a script: new events are rejected, accepted ones finished. */
isopod_status isopod_undeploy(const isopod_pool *pool, const char *name);

/* Waits until the script has a ready worker, or fails with the reason: the error's detail has file, line and code. With
 * `timeout_ms` 0, only the pool's limits apply. */
isopod_status isopod_warm(const isopod_pool *pool, const char *name, uint64_t timeout_ms);

/* ---- Calls */

/* Calls an exported function, and waits for its return value or the value of its promise. `arguments_json` is a JSON array;
 * NULL means no arguments. With `timeout_ms` 0, only the pool's and the script's limits apply. The name may include an entry
 * point: "shop#Admin". Values that JSON cannot represent, such as `undefined`, are null. */
isopod_status isopod_call(const isopod_pool *pool, const char *name, const char *function, const char *arguments_json,
                          uint64_t timeout_ms, char **result_json);

/* Receives the result of an asynchronous call. `result_json` is valid until the callback returns; it is NULL unless the
 * status is ISOPOD_OK, and the error is the thread's last error. All callbacks of a pool run one after another on one thread
 * of the library, so a slow one delays the others. A callback may call every function except `isopod_pool_shutdown` and
 * `isopod_pool_free` of its own pool. It must not throw or longjmp. */
typedef void (*isopod_callback)(void *user_data, isopod_status status, const char *result_json);

/* Like `isopod_call`, but returns immediately. The callback runs exactly once if this returns ISOPOD_OK, else never. */
isopod_status isopod_call_async(const isopod_pool *pool, const char *name, const char *function,
                                const char *arguments_json, uint64_t timeout_ms, isopod_callback callback,
                                void *user_data);

/* ---- Strings and logging */

/* Frees a string returned by the library. NULL is allowed. */
void isopod_string_free(char *string);

/* Writes the log, including scripts' `console` output, to standard error. `filter` is a level, or a list of levels by target
 * such as "warn,isopod::console=info"; NULL means "info". Can be called once per process; without it, nothing is written. */
isopod_status isopod_log_to_stderr(const char *filter);

#ifdef __cplusplus
}
#endif

#endif
