interface Service {
  fetch(input: Request | string | URL, init?: RequestInit): Promise<Response>;
}

interface Env {
  GREETINGS: Service;
  STATISTICS: Service;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    // The host of the URL is free: the binding decides which worker answers.
    if (pathname === "/statistics") return env.STATISTICS.fetch("http://greetings/");
    try {
      return await env.GREETINGS.fetch(request);
    } catch (error) {
      // What the service threw, with its class and message.
      return new Response(`${error}`, { status: 400 });
    }
  },
};
