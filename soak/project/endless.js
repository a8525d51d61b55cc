// A built-in function that runs for long in native code, where no limit can interrupt it. It ends by itself, so that a
// soak can see the thread recover.
export default {
  fetch() {
    return new Response(String([].includes.call({ length: 2 ** 28 }, 1)));
  },
};
