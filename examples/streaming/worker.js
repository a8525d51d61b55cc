// Bodies that are never in memory as a whole.

const MEGABYTE = 1_000_000;

export default {
  fetch(request) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/download":
        return new Response(megabytes(Number(url.searchParams.get("mb") ?? 100)));
      case "/echo":
        // Echoes the body; its bytes do not pass through JavaScript.
        return new Response(request.body);
      case "/upper":
        return new Response(request.body?.pipeThrough(upper()));
      case "/count":
        return count(request.body);
      default:
        return new Response("try /download, /echo, /upper or /count\n", { status: 404 });
    }
  },
};

/** `pull` is called when the client has read the previous chunk, so a slow client slows the producer down. */
function megabytes(number) {
  const chunk = new Uint8Array(MEGABYTE).fill("x".charCodeAt(0));
  let left = number;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(chunk);
      else controller.close();
    },
    cancel() {
      console.log(`the client left ${left} MB early`);
    },
  });
}

function upper() {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(encoder.encode(decoder.decode(chunk, { stream: true }).toUpperCase()));
    },
  });
}

async function count(body) {
  let bytes = 0;
  for await (const chunk of body ?? []) bytes += chunk.byteLength;
  return Response.json({ bytes });
}
