interface Env {
  ASSETS: Fetcher;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/time") return Response.json({ now: new Date().toISOString() });
    return env.ASSETS.fetch(request);
  },
} satisfies ExportedHandler<Env>;
