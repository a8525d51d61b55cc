interface Env {
  JOBS: Queue<Job>;
  RESULTS: KVNamespace;
}

interface Job {
  id: string;
  text: string;
}

export default {
  /** POST a text: it becomes a job. GET /ID: its result, once there is one. */
  async fetch(request, env): Promise<Response> {
    if (request.method === "POST") {
      const id = crypto.randomUUID();
      await env.JOBS.send({ id, text: await request.text() });
      return Response.json({ id }, { status: 202 });
    }
    const result = await env.RESULTS.get(new URL(request.url).pathname.slice(1) || "last-report");
    return result === null ? new Response("not found\n", { status: 404 }) : new Response(result);
  },

  /** A job that throws is tried again, and goes to `failed-jobs` in the end. */
  async queue(batch, env): Promise<void> {
    for (const message of batch.messages) {
      const { id, text } = message.body;
      await env.RESULTS.put(id, `${text.split(/\s+/).filter(Boolean).length} words\n`, { expirationTtl: 3600 });
      message.ack();
    }
  },

  async scheduled(controller, env): Promise<void> {
    const { keys } = await env.RESULTS.list();
    const time = new Date(controller.scheduledTime).toISOString();
    await env.RESULTS.put("last-report", `${keys.length} results at ${time}\n`);
  },
} satisfies ExportedHandler<Env, Job>;
