// Reads what most handlers read of a request.
export default {
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const { headers } = request;
    const read = [headers.get("host"), headers.get("user-agent"), headers.get("accept")];
    return new Response(`${pathname} ${searchParams.get("query")} ${read}`);
  },
};
