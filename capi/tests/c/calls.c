/* Creates a pool; deploys, calls, replaces and removes scripts; reads statistics; shuts down. */

#include "check.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  CHECK_TEXT(isopod_version(), "0.1.0");
  CHECK_TEXT(isopod_status_name(ISOPOD_EXCEEDED_CPU), "exceeded_cpu");
  CHECK_TEXT(isopod_status_name(-1), "unknown");
  CHECK(isopod_last_error_status() == ISOPOD_OK && isopod_last_error_message() == NULL);

  isopod_pool_options options = ISOPOD_POOL_OPTIONS_INIT;
  options.threads = 1;
  options.thread_name = "shopkeeper";
  isopod_pool *pool = NULL;
  CHECK(isopod_pool_new(&options, &pool) == ISOPOD_OK);

  CHECK(isopod_deploy_source(pool, "shop",
                             "import { env } from 'isopod:workers';\n"
                             "import { twice } from './twice.js';\n"
                             "export const price = async (item) => ({ item, price: twice(env.PRICES[item]) });\n"
                             "export const currency = () => env.CURRENCY;\n"
                             "export const nothing = () => {};",
                             "{\"env\": {\"CURRENCY\": \"€\", \"PRICES\": {\"tea\": 1.5}},"
                             " \"modules\": {\"./twice.js\": \"export const twice = (n) => 2 * n;\"}}") == ISOPOD_OK);
  CHECK(isopod_warm(pool, "shop", 10000) == ISOPOD_OK);
  CHECK_CALL(pool, "shop", "price", "[\"tea\"]", "{\"item\":\"tea\",\"price\":3}");
  CHECK_CALL(pool, "shop", "currency", NULL, "\"€\"");
  CHECK_CALL(pool, "shop", "nothing", "[]", "null");
  /* The result may be ignored. */
  CHECK(isopod_call(pool, "shop", "nothing", NULL, 0, NULL) == ISOPOD_OK);

  /* Replaced by TypeScript under the same name. */
  CHECK(isopod_deploy_source(pool, "shop", "export const price = (item: string): number => item.length;",
                             "{\"language\": \"typescript\"}") == ISOPOD_OK);
  CHECK_CALL(pool, "shop", "price", "[\"tea\"]", "3");

  /* From a file, with a limit that gives every event its own worker. */
  CHECK(isopod_deploy_file(pool, "file", argv[1], "{\"policy\": \"per_request\"}") == ISOPOD_OK);
  CHECK_CALL(pool, "file", "count", NULL, "1");
  CHECK_CALL(pool, "file", "count", NULL, "1");

  CHECK(isopod_undeploy(pool, "shop") == ISOPOD_OK);
  CHECK(isopod_call(pool, "shop", "price", "[\"tea\"]", 0, NULL) == ISOPOD_UNKNOWN_SCRIPT);
  CHECK(isopod_undeploy(pool, "shop") == ISOPOD_UNKNOWN_SCRIPT);

  char *text = NULL;
  CHECK(isopod_stats(pool, &text) == ISOPOD_OK);
  CHECK_HAS(text, "\"accepted\":7");
  CHECK_HAS(text, "\"file\":{");
  isopod_string_free(text);

  CHECK(isopod_pool_shutdown(pool, 5000, &text) == ISOPOD_OK);
  CHECK_HAS(text, "\"cut\":0,\"sessions_cut\":0,\"threads_joined\":1,\"threads_stuck\":0}");
  isopod_string_free(text);
  CHECK(isopod_call(pool, "file", "count", NULL, 0, &text) == ISOPOD_SHUT_DOWN && text == NULL);
  CHECK(isopod_deploy_source(pool, "late", "", NULL) == ISOPOD_SHUT_DOWN);
  CHECK(isopod_pool_free(pool) == ISOPOD_OK);
  CHECK(threads_become("shopkeeper", 0));
  return 0;
}
