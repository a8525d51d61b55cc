/* Asynchronous calls: each callback runs exactly once, on a thread of the library. */

#include <pthread.h>

#include "check.h"

enum { CALLS = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

typedef struct told {
  isopod_pool *pool;
  pthread_t caller;
  int times;
  isopod_status status;
  char text[128];
} told;

static void note(void *user_data, isopod_status status, const char *result_json) {
  told *told = user_data;
  CHECK(!pthread_equal(pthread_self(), told->caller));
  pthread_mutex_lock(&lock);
  told->times++;
  told->status = status;
  snprintf(told->text, sizeof told->text, "%s", status == ISOPOD_OK ? result_json : isopod_last_error_message());
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void wait_for(told *told) {
  pthread_mutex_lock(&lock);
  while (told->times == 0) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

/* A callback may use the pool, but not end it. */
static void use_the_pool(void *user_data, isopod_status status, const char *result_json) {
  told *told = user_data;
  CHECK(status == ISOPOD_OK);
  CHECK(isopod_pool_shutdown(told->pool, 0, NULL) == ISOPOD_FROM_CALLBACK);
  CHECK(isopod_pool_free(told->pool) == ISOPOD_FROM_CALLBACK);
  CHECK_CALL(told->pool, "math", "twice", "[4]", "8");
  CHECK(isopod_call_async(told->pool, "math", "twice", "[5]", 0, note, told) == ISOPOD_OK);
  (void)result_json;
}

int main(void) {
  isopod_pool_options options = ISOPOD_POOL_OPTIONS_INIT;
  options.threads = 2;
  options.callbacks_waiting_max = CALLS;
  options.thread_name = "told";
  isopod_pool *pool = NULL;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_OK);
  CHECK(isopod_deploy_source(pool, "math",
                             "export const twice = async (n) => 2 * n;\n"
                             "export const fail = () => { throw new Error('no'); };\n"
                             "export const never = () => new Promise((done) => setTimeout(done, 60000));",
                             "{\"concurrency\": 1000}") == ISOPOD_OK);

  static told all[CALLS + 1];
  for (int i = 0; i <= CALLS; i++) all[i] = (told){.pool = pool, .caller = pthread_self()};

  for (int i = 0; i < CALLS; i++) {
    char arguments[32];
    snprintf(arguments, sizeof arguments, "[%d]", i);
    CHECK(isopod_call_async(pool, "math", "twice", arguments, 0, note, &all[i]) == ISOPOD_OK);
  }
  for (int i = 0; i < CALLS; i++) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%d", 2 * i);
    wait_for(&all[i]);
    CHECK(all[i].times == 1 && all[i].status == ISOPOD_OK);
    CHECK_TEXT(all[i].text, wanted);
  }

  told failed = {.pool = pool, .caller = pthread_self()};
  CHECK(isopod_call_async(pool, "math", "fail", NULL, 0, note, &failed) == ISOPOD_OK);
  wait_for(&failed);
  CHECK(failed.status == ISOPOD_EXCEPTION);
  CHECK_TEXT(failed.text, "Error: no");

  told late = {.pool = pool, .caller = pthread_self()};
  CHECK(isopod_call_async(pool, "math", "never", NULL, 50, note, &late) == ISOPOD_OK);
  wait_for(&late);
  CHECK(late.status == ISOPOD_EXCEEDED_WALL);

  told nested = {.pool = pool, .caller = pthread_self()};
  CHECK(isopod_call_async(pool, "math", "twice", "[3]", 0, use_the_pool, &nested) == ISOPOD_OK);
  wait_for(&nested);
  CHECK_TEXT(nested.text, "10");

  /* A rejection is returned, and the callback does not run. */
  told refused = {.pool = pool, .caller = pthread_self()};
  CHECK(isopod_call_async(pool, "unknown", "twice", NULL, 0, note, &refused) == ISOPOD_UNKNOWN_SCRIPT);
  for (int i = 0; i < CALLS; i++) {
    all[i].times = 0;
    CHECK(isopod_call_async(pool, "math", "never", NULL, 0, note, &all[i]) == ISOPOD_OK);
  }
  CHECK(isopod_call_async(pool, "math", "never", NULL, 0, note, &refused) == ISOPOD_LOAD_SHED);

  /* The shutdown runs the remaining callbacks; afterwards none runs. */
  CHECK(isopod_pool_free(pool) == ISOPOD_OK);
  for (int i = 0; i < CALLS; i++) CHECK(all[i].times == 1 && all[i].status == ISOPOD_CANCELED);
  CHECK(refused.times == 0);
  CHECK(threads_become("told", 0));
  return 0;
}
