// The last stage, started by the figures: figures to a report.

export default {
  async task({ payload, config }, env, ctx) {
    const regions = Object.entries(await env.RESULTS.read(payload));
    regions.sort(([, a], [, b]) => b.total - a.total);
    const lines = [];
    for (const [name, { orders, total, largest }] of regions) {
      const figures = `${orders} orders, ${total.toFixed(2)} in all, ${(total / orders).toFixed(2)} each`;
      lines.push(`${name}: ${figures}, ${largest.toFixed(2)} at most`);
      await ctx.progress(lines.length / regions.length);
    }
    lines.push(`(from the ${config.name} of ${config.source})`);
    await ctx.emit("report", lines.join("\n"));
  },
};
