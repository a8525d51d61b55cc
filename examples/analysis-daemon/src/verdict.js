// Judges a sample by its strings: the last stage, a script in a sandbox.
const RULES = [/^http:\/\//, /kernel32/i, /CreateRemoteThread/];

export default {
  async task({ payload, config }, env, ctx) {
    const { sample, strings } = await env.RESULTS.read(payload);
    const found = strings.filter((text) => RULES.some((rule) => rule.test(text)));
    await ctx.progress(1);
    await ctx.emit("verdict", { sample, strings: strings.length, found: found.length });
  },
};
