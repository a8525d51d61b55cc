// The first stage: CSV to rows. The payload is the CSV.

const ROWS_A_STEP = 1000;

export default {
  async task({ payload, config }, env, ctx) {
    const [head, ...lines] = payload.trim().split("\n");
    const names = head.split(config.separator);
    const rows = [];
    for (const [index, line] of lines.entries()) {
      const fields = line.split(config.separator);
      if (fields.length !== names.length) {
        throw new SyntaxError(`line ${index + 2} has ${fields.length} fields, and the head ${names.length}`);
      }
      rows.push(Object.fromEntries(names.map((name, place) => [name, fields[place]])));
      // Awaited: progress is subject to backpressure, and a canceled task stops here.
      if (index % ROWS_A_STEP === 0) {
        ctx.signal.throwIfAborted();
        await ctx.progress(index / lines.length);
      }
    }
    await ctx.emit("rows", rows);
    return rows.length;
  },
};
