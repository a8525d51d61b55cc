// Streams through what a local origin answers. The harness says where that is.
export default {
  fetch() {
    return fetch(ORIGIN);
  },
};
