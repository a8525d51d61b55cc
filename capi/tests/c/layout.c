/* Prints the header's constants, sizes and offsets, to compare with the library's. */

#include <stdio.h>

#include "isopod.h"

#define FIELD(name) printf("%s %zu\n", #name, offsetof(isopod_pool_options, name))
#define STATUS(name) printf("%s %d\n", isopod_status_name(name), name)

int main(void) {
  printf("options %zu\n", sizeof(isopod_pool_options));
  FIELD(size);
  FIELD(thread_name);
  FIELD(threads);
  FIELD(threads_max);
  FIELD(io_threads);
  FIELD(queue_len_max);
  FIELD(callbacks_waiting_max);
  FIELD(reserved);
  FIELD(queue_wait_max_ms);
  FIELD(wall_timeout_ms);
  FIELD(boot_timeout_ms);
  FIELD(idle_timeout_ms);
  FIELD(workers_max);
  FIELD(memory_bytes_max);
  STATUS(ISOPOD_OK);
  STATUS(ISOPOD_EXCEPTION);
  STATUS(ISOPOD_EXCEEDED_CPU);
  STATUS(ISOPOD_EXCEEDED_WALL);
  STATUS(ISOPOD_EXCEEDED_MEMORY);
  STATUS(ISOPOD_CANCELED);
  STATUS(ISOPOD_LOAD_SHED);
  STATUS(ISOPOD_BOOT_FAILED);
  STATUS(ISOPOD_WORKER_LOST);
  STATUS(ISOPOD_INVALID_ARGUMENT);
  STATUS(ISOPOD_INVALID_SCRIPT);
  STATUS(ISOPOD_UNKNOWN_SCRIPT);
  STATUS(ISOPOD_SHUT_DOWN);
  STATUS(ISOPOD_FROM_CALLBACK);
  STATUS(ISOPOD_SYSTEM);
  STATUS(ISOPOD_INTERNAL);
  return 0;
}
