// The second stage, started by the rows: rows to figures per region. The payload only refers to the rows.

const ROWS_A_STEP = 5000;

export default {
  async task({ payload }, env, ctx) {
    const rows = await env.RESULTS.read(payload);
    const regions = new Map();
    for (const [index, { region, amount }] of rows.entries()) {
      const known = regions.get(region) ?? { orders: 0, total: 0, largest: 0 };
      const value = Number(amount);
      if (!Number.isFinite(value)) throw new TypeError(`row ${index + 1}: ${amount} is no amount`);
      regions.set(region, {
        orders: known.orders + 1,
        total: known.total + value,
        largest: Math.max(known.largest, value),
      });
      if (index % ROWS_A_STEP === 0) await ctx.progress(index / rows.length);
    }
    await ctx.emit("regions", Object.fromEntries(regions));
  },
};
