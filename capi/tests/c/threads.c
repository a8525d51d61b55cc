/* Many threads share a pool while scripts are deployed and removed; then pools are created and freed without leaking threads. */

#include <pthread.h>

#include "check.h"

enum { THREADS = 8, CALLS = 50, ROUNDS = 3 };

static void *call(void *pool) {
  for (int i = 0; i < CALLS; i++) {
    char arguments[32], wanted[32];
    snprintf(arguments, sizeof arguments, "[%d, 1]", i);
    snprintf(wanted, sizeof wanted, "%d", i + 1);
    CHECK_CALL(pool, "sum", "add", arguments, wanted);
  }
  return NULL;
}

static void *redeploy(void *pool) {
  for (int i = 0; i < 10; i++) {
    CHECK(isopod_deploy_source(pool, "other", "export const here = () => true;", NULL) == ISOPOD_OK);
    CHECK_CALL(pool, "other", "here", NULL, "true");
    CHECK(isopod_undeploy(pool, "other") == ISOPOD_OK);
  }
  return NULL;
}

static void round_of_calls(void) {
  isopod_pool_options options = ISOPOD_POOL_OPTIONS_INIT;
  options.threads = 2;
  options.thread_name = "round";
  isopod_pool *pool = NULL;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_OK);
  CHECK(isopod_deploy_source(pool, "sum", "export const add = (a, b) => a + b;", NULL) == ISOPOD_OK);

  pthread_t threads[THREADS + 1];
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, call, pool) == 0);
  CHECK(pthread_create(&threads[THREADS], NULL, redeploy, pool) == 0);
  for (int i = 0; i <= THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);

  char *report = NULL;
  CHECK(isopod_pool_shutdown(pool, 5000, &report) == ISOPOD_OK);
  CHECK_HAS(report, "\"threads_joined\":2,\"threads_stuck\":0");
  isopod_string_free(report);
  CHECK(isopod_pool_free(pool) == ISOPOD_OK);
  CHECK(threads_become("round", 0));
}

int main(void) {
  CHECK(threads_named("") == 1);
  round_of_calls();
  /* V8's threads and the spawner thread remain, once per process. */
  int left = threads_named("");
  for (int i = 1; i < ROUNDS; i++) round_of_calls();
  CHECK(threads_become("", left));
  return 0;
}
