export const load = ({ platform, url }) => ({
  greeting: platform.env.GREETING,
  name: url.searchParams.get("name") ?? "nobody",
});

export const actions = {
  default: async ({ request }) => ({ sent: (await request.formData()).get("text") }),
};
