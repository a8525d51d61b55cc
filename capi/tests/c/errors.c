/* Every error has a status and a message, and for a script's developer a detail. */

#include <pthread.h>

#include "check.h"

static void *errors_are_a_threads_own(void *pool) {
  CHECK(isopod_last_error_status() == ISOPOD_OK && isopod_last_error_message() == NULL);
  CHECK(isopod_undeploy(pool, "nothing") == ISOPOD_UNKNOWN_SCRIPT);
  CHECK(isopod_last_error_status() == ISOPOD_UNKNOWN_SCRIPT);
  return NULL;
}

static void arguments(isopod_pool *pool) {
  char *text = (char *)"not NULL";
  CHECK(isopod_pool_new(NULL, NULL) == ISOPOD_INVALID_ARGUMENT);
  CHECK(isopod_call(NULL, "a", "b", NULL, 0, &text) == ISOPOD_INVALID_ARGUMENT && text == NULL);
  CHECK_HAS(isopod_last_error_message(), "`pool` must not be NULL");
  CHECK(isopod_call(pool, NULL, "b", NULL, 0, &text) == ISOPOD_INVALID_ARGUMENT);
  CHECK_HAS(isopod_last_error_message(), "`name` must not be NULL");
  CHECK(isopod_call(pool, "a", "\xff", NULL, 0, &text) == ISOPOD_INVALID_ARGUMENT);
  CHECK_HAS(isopod_last_error_message(), "`function` is not UTF-8 from byte 0 on");
  CHECK(isopod_call(pool, "a", "b", "[1,", 0, &text) == ISOPOD_INVALID_ARGUMENT);
  CHECK_HAS(isopod_last_error_message(), "`arguments_json`");
  CHECK(isopod_call(pool, "a", "b", "{}", 0, &text) == ISOPOD_INVALID_ARGUMENT);
  CHECK(isopod_call_async(pool, "a", "b", NULL, 0, NULL, NULL) == ISOPOD_INVALID_ARGUMENT);
  CHECK(isopod_deploy_source(pool, "a", "", "{\"polcy\": \"oneshot\"}") == ISOPOD_INVALID_ARGUMENT);
  CHECK_HAS(isopod_last_error_message(), "polcy");
  CHECK(isopod_deploy_source(pool, "a", "", "{\"fetch\": {\"allow\": [\"a b\"]}}") == ISOPOD_INVALID_ARGUMENT);
  CHECK(isopod_deploy_file(pool, "a", "none.js", "{\"modules\": {\"./b.js\": \"\"}}") == ISOPOD_INVALID_ARGUMENT);
  CHECK(isopod_deploy_file(pool, "a", "there-is-no-such-file.js", NULL) == ISOPOD_INVALID_SCRIPT);
  CHECK_HAS(isopod_last_error_message(), "there-is-no-such-file.js");
  CHECK(isopod_log_to_stderr("a=b=c") == ISOPOD_INVALID_ARGUMENT);
  isopod_string_free(NULL);
  CHECK(isopod_pool_free(NULL) == ISOPOD_OK);
}

/* A program built with an older header passes fewer options; the library must not read beyond them. */
static void options(void) {
  isopod_pool *pool = NULL;
  isopod_pool_options options = ISOPOD_POOL_OPTIONS_INIT;
  options.size = 0;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_INVALID_ARGUMENT && pool == NULL);
  options.size = sizeof options;
  options.threads = 3;
  options.threads_max = 2;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_INVALID_ARGUMENT && pool == NULL);
  CHECK_HAS(isopod_last_error_message(), "threads_max");
  memset((char *)&options + offsetof(isopod_pool_options, threads_max), 0xff,
         sizeof options - offsetof(isopod_pool_options, threads_max));
  options.size = offsetof(isopod_pool_options, threads_max);
  options.threads = 1;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_OK);
  CHECK(isopod_pool_free(pool) == ISOPOD_OK);
}

static void scripts(isopod_pool *pool) {
  char *text = NULL;
  CHECK(isopod_deploy_source(pool, "broken", "const fine = 1;\nexport const = 2;\n", NULL) == ISOPOD_OK);
  CHECK(isopod_warm(pool, "broken", 10000) == ISOPOD_BOOT_FAILED);
  CHECK_HAS(isopod_last_error_message(), "SyntaxError");
  CHECK_HAS(isopod_last_error_detail(), "main.js:2");
  CHECK(isopod_undeploy(pool, "broken") == ISOPOD_OK);

  CHECK(isopod_deploy_source(pool, "slow", "await new Promise((done) => setTimeout(done, 60000));", NULL) == ISOPOD_OK);
  CHECK(isopod_warm(pool, "slow", 50) == ISOPOD_EXCEEDED_WALL);
  CHECK_HAS(isopod_last_error_message(), "`slow` was not ready in time");
  CHECK(isopod_undeploy(pool, "slow") == ISOPOD_OK);

  CHECK(isopod_deploy_source(pool, "faulty",
                             "export function refuse(what) {\n"
                             "  throw new RangeError(`no such thing: ${what}`);\n"
                             "}\n"
                             "export const never = () => new Promise((done) => setTimeout(done, 60000));\n"
                             "export const burn = () => { for (;;); };",
                             "{\"cpu_ms\": 200}") == ISOPOD_OK);
  CHECK(isopod_call(pool, "faulty", "refuse", "[\"gold\"]", 0, &text) == ISOPOD_EXCEPTION && text == NULL);
  CHECK(isopod_last_error_status() == ISOPOD_EXCEPTION);
  CHECK_TEXT(isopod_last_error_message(), "RangeError: no such thing: gold");
  CHECK_HAS(isopod_last_error_detail(), "main.js:2");
  CHECK(isopod_call(pool, "faulty", "none", NULL, 0, NULL) == ISOPOD_EXCEPTION);
  CHECK_HAS(isopod_last_error_message(), "none");
  CHECK(isopod_call(pool, "faulty", "never", NULL, 100, NULL) == ISOPOD_EXCEEDED_WALL);
  CHECK(isopod_call(pool, "faulty", "burn", NULL, 0, NULL) == ISOPOD_EXCEEDED_CPU);
  CHECK(isopod_call(pool, "unknown", "burn", NULL, 0, NULL) == ISOPOD_UNKNOWN_SCRIPT);
  CHECK_HAS(isopod_last_error_message(), "\"unknown\"");
  CHECK(isopod_warm(pool, "unknown", 0) == ISOPOD_UNKNOWN_SCRIPT);
}

int main(void) {
  isopod_pool_options one = ISOPOD_POOL_OPTIONS_INIT;
  one.threads = 1;
  isopod_pool *pool = NULL;
  CHECK(isopod_pool_new(&one, &pool) == ISOPOD_OK);
  arguments(pool);
  options();
  scripts(pool);

  isopod_status before = isopod_last_error_status();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, errors_are_a_threads_own, pool) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(isopod_pool_free(pool) == ISOPOD_OK);
  /* Cleaning up keeps the error. */
  CHECK(isopod_last_error_status() == before && before == ISOPOD_UNKNOWN_SCRIPT);
  return 0;
}
